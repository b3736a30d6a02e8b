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


MODULATED = """rule M { param A = 0.01, tau = 20 ms, T = 7 ms; signal R; event punish; weight w in [0, 1] = 0.5;
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike; e' = -e / (5 * tau) + A * x * post.spike - A * w * y * pre.spike;
  w' = 0.1 [1/s] * e * R; on every T { w := 0.9 * w; } on punish { w -= 0.1; } }"""


@pytest.mark.parametrize("text", [PAIR, MODULATED])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pairs_have_the_bits_of_all_pairs_and_their_gradient(text, dtype):
    rule, random = hebb.compile(text), np.random.default_rng(4)
    there = random.random((13, 9)) < 0.4
    there[3], there[:, 2] = False, False
    dense, sparse = rule.synapses(13, 9, dtype=dtype), rule.synapses(13, 9, dtype=dtype, pairs=np.nonzero(there))
    start = random.random((13, 9))
    dense["w"][...], sparse["w"][...] = start, start[there]
    signals = {"R": 0.0} if text is MODULATED else {}
    for step in range(150):
        # From nobody to nearly everybody: few spikes are looked for one by one, many are not.
        share = [0, 0.05, 0.2, 0.8][step % 4]
        moment = dict(pre_spike=random.random(13) < share, post_spike=random.random(9) < share, **signals)
        if signals:
            moment["R"] = float(random.normal())
            if step % 31 == 5:
                moment["punish"] = True
        for one in (dense, sparse):
            one.instant(**moment) if step % 3 == 0 else one.step(0.5, **moment)
    assert np.array_equal(sparse["w"], dense["w"][there])
    bar = random.normal(size=(13, 9)) * there
    for dt in (0.0, 0.5):
        moment = dict(pre_spike=[1, 5], post_spike=[0, 3], **signals)
        wanted = dense.vjp(dt, {"w": bar}, ["A", "tau"], **moment)
        found = sparse.vjp(dt, {"w": bar[there]}, ["A", "tau"], **moment)
        np.testing.assert_array_equal(found["w"], wanted["w"][there])
        for name in ("A", "tau"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5 if dtype == "float32" else 1e-13)
    assert np.array_equal(sparse["w"], dense["w"][there]), "a gradient changes nothing"


def test_names_of_gradients_are_checked():
    with pytest.raises(ValueError, match=r"'w': expected \[1\], found float64\[2\]"):
        hebb.compile(OJA).synapses(2, 2, pairs=([0], [1])).vjp(1.0, {"w": np.zeros(2)})
    with pytest.raises(KeyError, match="'post.q'"):
        hebb.compile(OJA).synapses(2, 2, pairs=([0], [1])).vjp(1.0, {"w": np.zeros(1)}, ["post.q"])
    with pytest.raises(KeyError, match="'post.q'"):
        hebb.compile(OJA).synapses(2, 2).vjp(1.0, {"w": np.zeros((2, 2))}, ["post.q"])
