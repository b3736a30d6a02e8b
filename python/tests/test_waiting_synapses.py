"""Networks whose synapses are looked at only now and then: seen from outside, nothing but their speed may differ."""
import pickle

import numpy as np
import pytest

import hebb
from hebb._native import api

PRES, POSTS = 13, 11
RULES = {   # what a projection says of them, and what it is set to while updates wait
    "stdp.PairSTDP": ("", {"A_plus": 0.02, "tau_plus": 11.0}),
    "stdp.Triplet": ("", {"A2p": 0.02}),
    "stdp.MultiplicativeSTDP": ("", {"tau_plus": 14.0}),
    "stdp.PowerLawSTDP": ("", {}),
    "stdp.DiehlCook": ("", {"eta": 0.05, "x_tar": 0.2}),
    "stdp.NonlinearSTDP": ("", {}),
    "stdp.SymmetricSTDP": ("", {}),
    "istdp.Inhibitory": ("", {"eta": 0.02}),
    "voltage.Clopath": ("bind post.u = post.v * 10 mV - 70 mV;", {"tau_x": 9.0, "A_LTP": 3e-4}),
    "reward.RewardSTDP": ("bind R = T.m[0];", {}),
    "reward.DopamineSTDP": ("bind reward = T.reward;", {"release": 2.0}),
    "families.Polynomial(beta = -0.2)": ("", {"beta": 0.1, "gamma": -0.2}),
    "stp.TsodyksMarkram": ("", {"U": 0.4}),
}


def text(rule, connect, pres=PRES, posts=POSTS):
    module, more = "std." + rule.split("(")[0], RULES[rule][0]
    weights = "init w = 40 pA;" if "PowerLaw" in rule else "init w = 0.5; drive exc += w;"
    return f"""
import {module};
neuron Given {{ input lit : 1; emit spike when lit > 0.5; }}
neuron Cell {{ input lit : 1; receive exc : 1; state v = 0; v' = -v / 10 ms + exc + 4 * lit / 1 ms; emit spike when lit > 0.5; }}
neuron Teacher {{ input lit : 1; state p = 0; let m = 0.2 * sin(p); p' = 1 / 40 ms; emit reward when lit > 0.5; }}
network N {{
  signal sx[{pres}]; signal sy[{posts}]; signal st;
  pop T[1] : Teacher(lit = st);
  pop X[{pres}] : Given(lit = sx);
  pop Y[{posts}] : Cell(lit = sy);
  project X -> Y as S via {rule.split(".", 1)[1]} {{ connect {connect}; {weights} {more} }}
}}
"""


def spikes(steps, seed=0, pres=PRES, posts=POSTS):
    """Bursts and silences, some of both sides at once."""
    rng = np.random.default_rng(seed)
    bursts = lambda n: (rng.random((steps, n)) < np.where(np.sin(np.arange(steps)[:, None] / 31 + np.arange(n)) > 0.4, 0.15, 0.003)).astype(float)
    return {"sx": bursts(pres), "sy": bursts(posts), "st": (rng.random(steps) < 0.02).astype(float)}


def cut(fed, begin, end):
    return {name: values[begin:end] for name, values in fed.items()}


def near(one, other, what):
    """The same numbers, and the same side of every bound."""
    one, other = np.asarray(one).ravel(), np.asarray(other).ravel()
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=what)
    for bound in (0.0, 1.0):
        assert np.array_equal(one == bound, other == bound), what


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_late_synapses_are_those_of_a_matrix_whatever_is_set_meanwhile(rule, threads):
    """A matrix changes in every step: the other way to the same weights."""
    late = hebb.network(text(rule, "random(p = 1)"), dtype="float64", threads=threads, dt=1)
    prompt = hebb.network(text(rule, "all"), dtype="float64", dt=1)
    states = [name for name, facts in prompt.values.items() if facts["role"] == "state" and name in late.values]
    fed, rng, at, moved = spikes(2000), np.random.default_rng(1), 0, False

    def both(steps):
        nonlocal at
        for net in (late, prompt):
            net.run(steps=steps, **cut(fed, at, at + steps))
        at += steps

    def compare(what):
        for name in states:
            near(late[name], prompt[name], f"{name} {what}, {at} steps")

    for round in range(4):
        both(150 + round)
        compare("after a run")
        both(37)
        given = rng.random(PRES * POSTS)
        late["S.w"], prompt["S.w"] = given.reshape(late["S.w"].shape), given.reshape(prompt["S.w"].shape)
        both(1)
        compare("after weights were set")
        for name, value in RULES[rule][1].items():
            both(23)
            for net in (late, prompt):
                net["S." + name] = np.full(net["S." + name].shape, value if round % 2 == 0 else value * 0.7)
        both(29)
        for name in ("S.x", "S.y"):   # traces, of 13 and of 11 neurons
            if name in states:
                late[name] = prompt[name] = 0.3 * rng.random(late[name].shape)
                both(5)
        late["Y.v"] = prompt["Y.v"] = rng.random(POSTS)
        both(30)
        compare("after all that was set")
        moved = moved or not np.allclose(late["S.w"].ravel(), given)
    assert moved or "stp." in rule


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", ["stdp.PairSTDP", "stdp.MultiplicativeSTDP", "reward.DopamineSTDP", "voltage.Clopath"])
def test_looking_changes_nothing(rule, dtype):
    fed = spikes(400)
    nets = [hebb.network(text(rule, "random(p = 0.5)"), dtype=dtype, seed=4, dt=1) for _ in range(4)]
    seen = []
    for k in range(400):
        nets[0].run(steps=1, **cut(fed, k, k + 1))
        nets[1].run(steps=1, **cut(fed, k, k + 1))
        seen.append(nets[0]["S.w"])
        for name in nets[0].values:
            nets[0].get(name)
    recorded = nets[2].run(steps=400, record=["S.w"], **fed)["S.w"]
    nets[3].run(steps=400, **fed)
    assert np.array_equal(recorded, np.array(seen)) and len(np.unique(recorded)) > 20
    for name in nets[0].values:
        for net in nets[1:]:
            assert np.array_equal(net[name], nets[0][name]), name


def by_hand(w, fed, A, tau=20.0):
    """Pair STDP, step by step."""
    x, y, all, factor = np.zeros(PRES), np.zeros(POSTS), [], np.exp(-1 / tau)
    for pre, post in zip(fed["sx"], fed["sy"]):
        w = np.clip(w + A * np.outer(x, post) - 1.05 * A * np.outer(pre, y), 0, 1)
        x, y = (x + pre) * factor, (y + post) * factor
        all.append(w)
    return np.array(all)


PAIR = text("stdp.PairSTDP", "random(p = 1)").replace("via PairSTDP", "via Pair") + """
rule Pair { param tau = 20 ms, A = 0.2; weight w in [0, 1]; x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  w' = A * x * post.spike - 1.05 * A * y * pre.spike; }
"""


def test_weights_are_the_loop_by_hand():
    net, fed = hebb.network(PAIR, dtype="float64", dt=1), spikes(600)
    want = by_hand(np.full((PRES, POSTS), 0.5), fed, 0.2)
    assert ((want == 0) | (want == 1)).any() and ((want > 0) & (want < 1)).any()
    got = net.run(steps=600, record=["S.w"], **fed)["S.w"].reshape(want.shape)
    near(got, want, "recorded")
    near(net["S.w"], want[-1], "at the end")


@pytest.mark.parametrize("rule", ["stdp.PairSTDP", "reward.DopamineSTDP"])
def test_what_is_set_beyond_a_bound_is_so_until_the_next_step(rule):
    fed, nets = spikes(120), [hebb.network(text(rule, connect), dtype="float64", dt=1) for connect in ("random(p = 1)", "all")]
    for net in nets:
        high = float(net["S.w_max"].max()) if "S.w_max" in net.values else 1.0
        for begin in (0, 60):
            net["S.w"] = np.full(net["S.w"].shape, 7.0)
            net["Y.v"] = net["Y.v"]   # what waits was settled already: no weight is looked at
            assert (net["S.w"] == 7).all()
            quiet = {name: values[:1] * 0 for name, values in fed.items()}
            net.run(steps=1, **quiet)
            assert (net["S.w"] == high).all()
            net.run(steps=60, **cut(fed, begin, begin + 60))
    near(nets[0]["S.w"], nets[1]["S.w"], rule)


def test_a_network_begins_again_and_travels_with_the_same_bits():
    fed = spikes(500)
    net = hebb.network(text("stdp.DiehlCook", "random(p = 0.4)"), seed=3, dt=1)
    net["S.eta"] = 0.03
    net.run(steps=500, **fed)
    first = net["S.w"]
    again = pickle.loads(pickle.dumps(net))
    again.run(steps=500, **fed)
    net.restart()
    assert np.array_equal(net["S.w"], np.full(len(first), np.float32(0.5)))
    net.run(steps=500, **fed)
    assert np.array_equal(net["S.w"], first) and np.array_equal(again["S.w"], first) and len(np.unique(first)) > 20
    net.restart(seed=9)   # other synapses, and another number of them
    fresh = hebb.network(net.module, seed=9, dt=1)
    fresh["S.eta"] = 0.03
    for one in (net, fresh):
        one.run(steps=500, **fed)
    assert len(net["S.w"]) != len(first) and np.array_equal(net["S.w"], fresh["S.w"])


def test_what_the_compiler_adds_has_no_name():
    net = hebb.network(text("stdp.Triplet", "random(p = 0.5)"), dt=1)
    other = hebb.network(text("stdp.Triplet", "all"), dt=1)
    assert set(net.values) == set(other.values) - {"Y.exc"}   # a matrix sums it, spikes deliver it one by one
    for hidden in ("S.waits sum0", "S.waits seen0", "S.waits scale0"):
        handle, name = net._handle.value, hidden.encode()
        value = np.zeros(1)
        assert api.network_size(handle, name) < 0 and api.network_get(handle, name, value.ctypes.data, 1) < 0
        assert api.network_set(handle, name, value.ctypes.data, 1) < 0 and api.network_record(handle, name, 1) < 0
        with pytest.raises(KeyError, match="S.w"):
            net.get(hidden)
    assert api.network_size(net._handle.value, b"S.w") == len(net["S.w"])


def test_numbers_that_are_drawn_at_spikes_only_can_be_read_in_any_step():
    net = hebb.network("import std.neurons.Poisson; network N { pop X[300] : Poisson(rate = 80 Hz); }", dtype="float64", seed=2, dt=0.5)
    result = net.run(steps=200, record=["X.wait", "X.left", "X.spike"])
    wait, left, spike = result["X.wait"], result["X.left"], result["X.spike"]
    assert (wait > 0).all() and abs(wait.mean() - 1) < 0.02 and len(np.unique(wait)) == wait.size
    came = spike[1:] > 0
    assert came.sum() > 500
    np.testing.assert_allclose((left[1:] - left[:-1] + 0.04)[came], wait[1:][came], atol=1e-12)
    plain = hebb.network("import std.neurons.Poisson; network N { pop X[300] : Poisson(rate = 80 Hz); }", dtype="float64", seed=2, dt=0.5)
    plain.run(steps=200)
    assert np.array_equal(plain["X.wait"], wait[-1]) and np.array_equal(plain["X.left"], left[-1])


def test_what_waits_and_is_no_number_is_told_of_the_weight_that_it_waits_for():
    net = hebb.network(PAIR.replace("A * x * post.spike", "A * x * y * post.spike"), dt=1)
    net["S.A"] = 3e38
    with pytest.raises(hebb.DivergedError, match=r"^S\.w is inf at"):
        net.run(steps=600, **spikes(600))


def test_parameters_of_other_signs_are_as_if_the_source_said_them():
    """How synapses wait hangs on signs; before the first step a network goes over to another way, with all that was set."""
    fed, rng = spikes(300), np.random.default_rng(3)
    said = hebb.network(text("families.Polynomial(beta = -0.2)", "random(p = 0.5)"), seed=6, dt=1)
    given = hebb.network(text("families.Polynomial(beta = -0.2)", "random(p = 0.5)").replace("(beta = -0.2)", ""), seed=6, dt=1)
    w, v = rng.random(said["S.w"].shape), rng.random(POSTS)
    for beta in (-0.2, 0.1, -0.2):
        for net in (said, given):
            net.restart(seed=6)
            net["S.w"], net["Y.v"], net["S.beta"] = w, v, np.array(beta)
        results = [net.run(steps=300, record={"S.w": 10}, **fed)["S.w"] for net in (said, given)]
        assert np.array_equal(*results) and len(np.unique(results[0])) > 20
        assert all(np.array_equal(said[name], given[name]) for name in said.values)
