# Last by name: JAX starts threads, and the tests before this one fork.
import pytest

import hebb
from conftest import OJA
from test_gradients import oja_values


def test_jax():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    from jax.test_util import check_grads

    import hebb.jax

    jax.config.update("jax_enable_x64", True)
    step = hebb.jax.Step(hebb.compile(OJA.replace("[1/s]", "[1/ms]")), 3, 4, dt=0.5)
    values = oja_values()
    check_grads(lambda v: step(v)["w"], (values,), order=1, modes=["rev"], eps=1e-5)

    def two_steps(w):
        for _ in range(2):
            w = step({**values, "w": w})["w"]
        return jax.numpy.sum(w ** 2)

    batch = jax.numpy.stack([values["w"] * k for k in (1.0, 0.5, -2.0)])
    together = jax.vmap(lambda w: step({**values, "w": w})["w"])(batch)
    assert all((row == step({**values, "w": w})["w"]).all() for row, w in zip(together, batch))

    slope = jax.jit(jax.grad(two_steps))(values["w"])
    moved = values["w"].copy()
    moved[1, 2] += 1e-6
    assert float(slope[1, 2]) == pytest.approx(float(two_steps(moved) - two_steps(values["w"])) / 1e-6, rel=1e-4)


def test_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import hebb.torch

    step = hebb.torch.Step(hebb.compile(OJA.replace("[1/s]", "[1/ms]")), 3, 4, dt=0.5)
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in oja_values().items()}
    names = list(tensors)
    assert torch.autograd.gradcheck(lambda *values: step(dict(zip(names, values)))["w"], tuple(tensors.values()))
    s = hebb.compile(OJA).synapses(2, 1)
    s.step(1, pre_r=torch.tensor([3.0, 4.0]), post_r=torch.tensor([1.0]))
    assert list(s["pre.r"]) == [3, 4]
