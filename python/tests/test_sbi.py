import numpy as np
import pytest

from workers import simulator


def test_sbi():
    pytest.importorskip("sbi", reason="sbi is not installed")
    import torch
    from sbi.utils import BoxUniform
    from sbi.utils.user_input_checks import process_prior, process_simulator

    prior, _, is_numpy = process_prior(BoxUniform(torch.zeros(1), 0.02 * torch.ones(1)))
    simulate = process_simulator(simulator(), prior, is_numpy)
    theta = prior.sample((6,))
    x = simulate(theta)
    assert x.shape == (6, 2) and x.dtype == torch.float32
    assert np.array_equal(x.numpy(), simulator()(theta.numpy().astype(np.float64)).astype(np.float32))
