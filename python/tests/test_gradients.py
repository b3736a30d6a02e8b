import numpy as np
import pytest

import hebb
from conftest import OJA, PAIR


def differences(step, values, bars, h=1e-6):
    """d(sum bars · after)/d(each of values) by central differences."""
    out = {}
    for name, value in values.items():
        out[name] = np.zeros(value.shape)
        for at in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = {**values, name: value.copy()}
                moved[name][at] += sign * h
                after = step(moved)
                ends.append(sum(np.sum(bars[k] * after[k]) for k in bars))
            out[name][at] = (ends[0] - ends[1]) / (2 * h)
    return out


def oja_values(seed=0):
    random = np.random.default_rng(seed)
    return {"w": random.normal(size=(3, 4)), "pre.r": random.random(3), "post.r": random.random(4), "eta": np.array(0.1)}


def test_the_gradient_is_that_of_differences():
    rule = hebb.compile(OJA.replace("[1/s]", "[1/ms]"))
    step = rule.step_function(3, 4, dt=0.5)
    values = oja_values()
    bars = {"w": np.random.default_rng(1).normal(size=(3, 4))}
    found, wanted = step.vjp(values, bars), differences(step, values, bars)
    for name in values:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6, atol=1e-8)


def test_spikes_of_the_moment_have_a_gradient():
    step = hebb.StepFunction(hebb.compile(PAIR), 2, 3, dt=1.0, moment={"pre_spike": [0], "post_spike": [1, 2]})
    random = np.random.default_rng(3)
    values = {"w": random.uniform(0.3, 0.7, (2, 3)), "x": random.random(2), "y": random.random(3), "A": np.array(0.01), "tau": np.array(20.0)}
    bars = {name: random.normal(size=values[name].shape) for name in step.carried}
    found, wanted = step.vjp(values, bars), differences(step, values, bars)
    for name in values:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-8)


def test_sparse_blocks_say_that_they_have_none_and_names_are_checked():
    s = hebb.compile(OJA).synapses(2, 2, pairs=([0], [1]))
    with pytest.raises(hebb.SettingError, match="sparse"):
        s.vjp(1.0, {"w": np.zeros(1)})
    with pytest.raises(KeyError, match="'post.q'"):
        hebb.compile(OJA).synapses(2, 2).vjp(1.0, {"w": np.zeros((2, 2))}, ["post.q"])
