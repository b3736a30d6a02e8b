import concurrent.futures
import multiprocessing
import os
import pickle
import sys
import types

import numpy as np
import pytest

import hebb
from conftest import NETWORK

SPIKING = """
neuron LIF {
  receive g : 1;
  param tau = 20 ms;
  v' = -v / tau;
  on g { v += g; }
  emit spike when v > 1;
  on spike { v := 0; }
}
"""


def by_hand(odor, steps, eta=0.01):
    w, ys, ws = np.full((2, 3), 0.5), [], []
    for _ in range(steps):
        y = odor @ w
        w = w + eta * np.outer(odor, y)
        ys.append(y)
        ws.append(w)
    return np.array(ys), np.array(ws)


def test_a_run_is_the_loop_by_hand():
    net = hebb.network(NETWORK, "Net", dtype="float64")
    odor = np.array([0.2, -0.1])
    result = net.run(steps=10, record=["Y.r", "W.w"], odor=odor)
    ys, ws = by_hand(odor, 10)
    np.testing.assert_allclose(result["Y.r"], ys, atol=1e-14)
    np.testing.assert_allclose(result["W.w"], ws, atol=1e-14)
    np.testing.assert_allclose(result.Y.r, ys, atol=1e-14)
    assert result["Y.r"].name == "Y.r" and result["Y.r"].unit == "1" and result["W.w"].shape == (10, 2, 3)
    np.testing.assert_allclose(net["W.w"], ws[-1], atol=1e-14)


def test_progress_is_shown_with_tqdm_and_changes_nothing(monkeypatch):
    odor = np.random.default_rng(1).random((250, 2))
    plain = hebb.network(NETWORK).run(steps=250, record=["Y.r"], odor=odor)["Y.r"]
    seen = []

    def bar(pieces, **settings):
        seen.append((sum(pieces), settings["unit"]))
        return iter(pieces)

    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=bar))
    shown = hebb.network(NETWORK).run(steps=250, record=["Y.r"], odor=odor, progress=True)["Y.r"]
    assert seen == [(250, " steps")] and np.array_equal(shown, plain)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)   # importing it fails
    without = hebb.network(NETWORK).run(steps=250, record=["Y.r"], odor=odor, progress=True)["Y.r"]
    assert len(seen) == 1 and np.array_equal(without, plain)


def test_runs_go_on_and_begin_again():
    odor = np.random.default_rng(0).normal(size=(20, 2)) * 0.1
    whole = hebb.network(NETWORK, dtype="float64")
    all_at_once = whole.run(20, record=["Y.r"], odor=odor)["Y.r"]
    parts = hebb.network(NETWORK, dtype="float64")
    first = parts.run(7, record=["Y.r"], odor=odor)["Y.r"]
    second = parts.run(13, record=["Y.r"], odor=odor[7:])["Y.r"]
    assert np.array_equal(all_at_once, np.concatenate([first, second]))
    parts.restart()
    assert np.array_equal(parts.run(20, record=["Y.r"], odor=odor, progress=True)["Y.r"], all_at_once)
    assert parts.run(20, record={"Y.r": 5}, odor=odor)["Y.r"].shape == (4, 3)


def test_parameters_stay_when_a_network_begins_again_or_travels():
    net = hebb.network(NETWORK, dtype="float64")
    net["W.eta"] = 0.05
    odor = np.array([0.2, -0.1])
    want = by_hand(odor, 5, 0.05)[0]
    np.testing.assert_allclose(net.run(5, record=["Y.r"], odor=odor)["Y.r"], want, atol=1e-14)
    net.restart()
    np.testing.assert_allclose(net.run(5, record=["Y.r"], odor=odor)["Y.r"], want, atol=1e-14)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(net)).run(5, record=["Y.r"], odor=odor)["Y.r"], want, atol=1e-14)


def test_only_names_of_the_language_are_listed():
    names = set(hebb.network(NETWORK).values)
    assert {"W.w", "W.eta", "Y.I", "Y.r", "odor"} <= names
    assert not [name for name in names if " " in name]


def test_all_that_is_listed_can_be_read(library):
    net = hebb.network(library / "rate" / "sanger.hebb", "SangerGaussian")   # its rule sums along a row
    net.run(steps=3)
    for name, facts in net.values.items():
        assert net[name].shape == tuple(facts["shape"])
    none = hebb.network(SPIKING + "network N { pop A[3] : LIF; pop B[2] : LIF; project A -> B as S { connect random(p = 0); init w ~ uniform(0, 1); drive g += w; } }")
    none.run(steps=3)
    assert none["S.w"].shape == (0,)
    none["S.w"] = np.zeros(0)


def test_results_are_arrays_with_names_and_units():
    net = hebb.network(NETWORK)
    y = net.run(3, record=["Y.r"], odor=0.1)["Y.r"]
    again = pickle.loads(pickle.dumps(y))
    assert isinstance(y, np.ndarray) and again.name == "Y.r" and np.array_equal(again, y)
    assert (y * 2).name == "Y.r" and "<svg" in y._repr_html_()
    out = np.empty((2, 3))
    assert net.get("W.w", out=out) is out and np.array_equal(out, net["W.w"])


@pytest.mark.parametrize("call, error, words", [
    (lambda net: net.run(5), hebb.HebbError, ["'odor'"]),
    (lambda net: net.run(), hebb.SettingError, ["how long"]),
    (lambda net: net.run(5, odor=np.zeros((4, 2))), ValueError, ["'odor'", "[5, 2]", "float64[4, 2]"]),
    (lambda net: net.run(5, odor=np.zeros((5, 3))), ValueError, ["'odor'", "float64[5, 3]"]),
    (lambda net: net.run(5, odor=np.zeros((5, 2), int)), TypeError, ["'odor'", "int64"]),
    (lambda net: net.run(5, odor=np.zeros((5, 4))[:, ::2]), ValueError, ["'odor'", "not contiguous"]),
    (lambda net: net.run(5, odour=0.0), TypeError, ["'odour'", "odor"]),
    (lambda net: net.run(5, odor=0.0, record=["Z.r"]), KeyError, ["'Z.r'", "Y.r"]),
    (lambda net: net.run(steps=-1, odor=0.0), hebb.SettingError, ["-1"]),
    (lambda net: net.run(5, dt=float("nan"), odor=0.0), hebb.SettingError, ["dt"]),
    (lambda net: net.get("Q"), KeyError, ["'Q'"]),
    (lambda net: net.__setitem__("W.w", np.nan), ValueError, ["'W.w'", "nan at [0, 0]"]),
    (lambda net: net.__setitem__("W.w", [[0, 0, 0], [0, np.nan, 0]]), ValueError, ["'W.w'", "nan at [1, 1]"]),
    (lambda net: net.__setitem__("W.eta", np.nan), ValueError, ["'W.eta'", "found nan"]),
    (lambda net: net.__setitem__("W.w", np.zeros(5)), ValueError, ["'W.w'", "[2, 3]", "float64[5]"]),
    (lambda net: net.get("W.w", out=np.zeros((2, 3), np.float32)), ValueError, ["'out'", "float64", "float32"]),
    (lambda net: net.get("W.w", out=[0]), TypeError, ["'out'", "list"]),
])
def test_mistakes_say_which_expected_and_found(call, error, words):
    with pytest.raises(error) as caught:
        call(hebb.network(NETWORK))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_read_only_outputs_are_refused_and_inputs_are_not():
    net = hebb.network(NETWORK)
    frozen = np.zeros((2, 3))
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        net.get("W.w", out=frozen)
    net["W.w"] = frozen
    assert not net["W.w"].any()


def test_networks_of_files_and_unknown_ones(tmp_path):
    path = tmp_path / "net.hebb"
    path.write_text(NETWORK)
    assert hebb.network(path, "Net").name == "Net"
    with pytest.raises(hebb.SettingError, match="'Nat'"):
        hebb.network(path, "Nat")
    with pytest.raises(hebb.SettingError, match="threads"):
        hebb.network(path, threads=0)


def test_runs_that_cannot_be_say_what_python_should_give():
    net = hebb.network(NETWORK)
    with pytest.raises(hebb.SettingError, match="Net is fed 'odor', and this run gives none: add odor=…"):
        net.run(10)
    with pytest.raises(hebb.SettingError, match="10.5 ms is 10.5 steps of dt = 1 ms"):
        net.run(10.5, dt=1, odor=1.0)
    with pytest.raises(hebb.SettingError, match="expected 0 steps or more, found -10"):
        net.run(-10, odor=1.0)
    with pytest.raises(ValueError, match=r"'odor': expected \[10, 2\], \[2\] or one number, found float64\[3\]"):
        net.run(10, odor=np.ones(3))
    one = hebb.network("network One { signal gain; pop X[1] : Cell(I = gain); } neuron Cell { input I : 1; let r = I; }")
    with pytest.raises(ValueError, match=r"'gain': expected \[10\] or one number, found float64\[3\]"):
        one.run(10, gain=np.ones(3))


def test_a_simulator_that_could_never_run_is_refused_when_it_is_made():
    net = hebb.network(NETWORK)
    with pytest.raises(hebb.SettingError, match="this run gives none: add odor=…"):
        net.simulator(["W.eta"], ["W.w"], steps=20)
    with pytest.raises(hebb.SettingError, match="either a duration in ms or steps"):
        net.simulator(["W.eta"], ["W.w"], odor=1.0)


def test_divergence_is_an_exception_that_says_where():
    net = hebb.network(NETWORK.replace("in [-10, 10]", "in [-inf, inf]"))
    net["W.eta"] = 100.0
    with pytest.raises(hebb.DivergedError, match="W.w"):
        net.run(2000, odor=1.0)


# --- simulators ------------------------------------------------------------------------------------------------


def simulator(net, **more):
    return net.simulator(["W.eta"], ["W.w"], steps=20, odor=np.array([0.3, 0.2]), **more)


def test_a_simulator_is_the_run_row_by_row():
    net = hebb.network(NETWORK, dtype="float64")
    rows = simulator(net)(np.array([[0.01], [0.02]]))
    for row, eta in zip(rows, (0.01, 0.02)):
        assert row == pytest.approx([by_hand(np.array([0.3, 0.2]), 20, eta)[1][-1].mean()], abs=1e-13)
    assert simulator(net)(np.array([0.01]))[0] == rows[0, 0]


def test_rows_that_fail_are_nan_and_the_others_stand():
    net = hebb.network(NETWORK.replace("in [-10, 10]", "in [-inf, inf]"), dtype="float64")
    rows = net.simulator(["W.eta"], ["W.w"], steps=3000, odor=1.0)(np.array([[1e-5], [1e3], [np.nan], [1e-5]]))
    assert np.isnan(rows[:, 0]).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="'theta'"):
        simulator(net)(np.zeros((2, 2)))


NOISY = NETWORK.replace("on step { w += eta", "on step { let a ~ normal(1, 1); w += a * eta")


def part(arguments):
    simulate, theta, first = arguments
    return simulate(theta, first=first)


def test_a_seed_decides_every_row_in_every_process():
    net = hebb.network(NOISY)
    simulate = simulator(net, seed=5)
    theta = np.full((6, 1), 0.01)
    rows = simulate(theta)
    assert np.array_equal(rows, simulate(theta)) and len(np.unique(rows)) == 6
    assert not np.array_equal(rows, simulator(net, seed=6)(theta))
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            parts = pool.map(part, [(simulate, theta[k:k + 2], k) for k in (0, 2, 4)])
        assert np.array_equal(np.concatenate(parts), rows)


def test_threads_share_a_simulator():
    simulate = simulator(hebb.network(NOISY), seed=5)
    theta = np.full((40, 1), 0.01)
    rows = simulate(theta)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda k: simulate(theta[k:k + 5], first=k), range(0, 40, 5))
    assert np.array_equal(np.concatenate(list(parts)), rows)


def test_measures_may_be_a_function():
    net = hebb.network(NETWORK, dtype="float64")
    simulate = net.simulator(["W.eta"], lambda net, run: [run["Y.r"][-1, 0], net["W.w"].max()], steps=5, record=["Y.r"], odor=0.1)
    assert simulate(np.array([[0.01], [0.02]])).shape == (2, 2)


def test_threads_of_a_network_survive_a_fork():
    big = NETWORK.replace("X[2]", "X[400]").replace("odor[2]", "odor[400]").replace("Y[3]", "Y[300]")
    net = hebb.network(big, threads=2)
    one = hebb.network(big, threads=1)
    assert np.array_equal(net.run(3, record=["Y.r"], odor=0.01)["Y.r"], one.run(3, record=["Y.r"], odor=0.01)["Y.r"])
    child = os.fork()
    if child == 0:
        a, b = (n.run(3, record=["Y.r"], odor=0.01)["Y.r"] for n in (net, one))
        os._exit(0 if np.array_equal(a, b) else 1)
    assert os.waitpid(child, 0)[1] == 0


# --- fits ------------------------------------------------------------------------------------------------------


def test_a_fit_recovers_the_rate_of_learning():
    odor = np.random.default_rng(2).normal(size=(30, 2)) * 0.5
    truth = hebb.network(NETWORK, dtype="float64")
    truth["W.eta"] = 0.03
    data = truth.run(30, record=["Y.r"], odor=odor)["Y.r"]
    found = hebb.fit(NETWORK, "W.eta", {"Y.r": data}, steps=30, settings={"odor": odor}, options={"method": "gauss_newton", "steps": 20})
    assert found["W.eta"] == pytest.approx(0.03, abs=1e-6) and found.loss < 1e-12
    noisy = data + np.random.default_rng(3).normal(size=data.shape) * 1e-3
    known = hebb.fit(NETWORK, "W.eta", {"Y.r": noisy}, steps=30, settings={"odor": odor}, options={"method": "gauss_newton", "steps": 20}, report=True)
    assert 0 < known["W.eta.error"] < 1e-2 and known["W.eta.low"] < known["W.eta"] < known["W.eta.high"]
    with pytest.raises(hebb.RuleError, match="eto"):
        hebb.fit(NETWORK, "W.eto", {"Y.r": data}, steps=30, settings={"odor": odor})


DELAYED = """
neuron Cell { receive exc : 1; param at = 1e9 ms; state t = 0, got = 0; t' = 1; on exc { got += exc; } emit spike when t > at { t := -1e9 ms; } }
network N {
  pop X[1] : Cell(at = 0.95 ms);
  pop Y[40] : Cell;
  project X -> Y as S { connect all; init w = 1; delay axon ~ uniform(1 ms, 3 ms); drive exc += w; }
}
"""


def test_delays_of_single_synapses_are_whole_steps_of_the_network():
    def arrivals(of_network, of_run):
        net = hebb.network(DELAYED, dtype="float64", seed=3, dt=of_network)
        got = net.run(6, dt=of_run, record=["Y.got"])["Y.got"]
        assert net.dt == (of_network or 0.1) and (got[-1] == 1).all()
        return (np.argmax(got > 0.5, axis=0) + 1) * net.dt

    fine, coarse, unsaid = arrivals(0.1, None), arrivals(0.5, 0.5), arrivals(None, None)
    assert np.array_equal(fine, unsaid)
    assert 1.9 < fine.min() < 2.3 and 3.7 < fine.max() < 4.3 and len(set(np.round(fine, 6))) > 10
    assert set(np.round(np.diff(np.unique(coarse)), 6)) <= {0.5, 1.0} and np.abs(fine - coarse).max() < 1
    again = pickle.loads(pickle.dumps(hebb.network(DELAYED, dt=0.5)))
    assert again.dt == 0.5 and again.run(steps=3, record=["Y.got"])["Y.got"].shape == (3, 40)
    with pytest.raises(hebb.SettingError, match=r"whole steps of 0.5 ms, found 0.1 ms; open it with hebb.network\(…, dt=0.1\)"):
        again.run(steps=1, dt=0.1)
    with pytest.raises(hebb.HebbError, match="shorter than one step"):
        hebb.network(DELAYED, dt=4)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(hebb.SettingError, match="'dt'"):
            hebb.network(DELAYED, dt=wrong)


def test_the_step_of_a_network_is_that_of_its_runs():
    short, said = hebb.network(SPIKING + "network N { pop A[1] : LIF; }", dt=0.25), hebb.network(SPIKING + "network N { pop A[1] : LIF; }")
    assert said.dt == 0.1
    for net in (short, said):
        net["A.v"] = np.array([0.5])
        v = net.run(1, record=["A.v"])["A.v"]
        assert len(v) == round(1 / net.dt)
        assert abs(v[-1, 0] - 0.5 * np.exp(-1 / 20)) < 1e-6
