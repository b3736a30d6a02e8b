import numpy as np
import pytest

from workers import THETA, parts, simulator


def test_ray():
    ray = pytest.importorskip("ray", reason="ray is not installed")
    simulate = simulator()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        run = ray.remote(lambda theta, first: simulate(theta, first=first))
        found = ray.get([run.remote(theta, first) for theta, first in parts()], timeout=120)
    finally:
        ray.shutdown()
    assert np.array_equal(np.concatenate(found), simulate(THETA))
