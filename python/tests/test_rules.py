import copy
import gc
import os
import pickle
import threading
import weakref

import numpy as np
import pytest

import hebb
from conftest import OJA, PAIR


def test_a_protocol_is_the_closed_form():
    rule = hebb.compile(PAIR)
    p = rule.protocol(pre=[0], post=[10], w=0.5)
    assert p.dw == pytest.approx(0.005 * np.exp(-0.5), abs=1e-15)
    fast = rule.protocol({"tau": 10}, pre=[0], post=[10], w=0.5)
    assert fast.dw == pytest.approx(0.005 * np.exp(-1), abs=1e-15)
    assert p.units["w"] == "1"


def test_rules_know_their_variables_and_formulas(library):
    rule = hebb.compile(library / "stdp" / "pair_stdp.hebb")
    assert rule.variables["tau_plus"].unit == "ms" and rule.variables["w"].kind == "weight"
    assert rule.variables["pre.spike"].keyword == "pre_spike"
    assert "tau_plus: parameter, ms" in rule.__doc__ and "[n_pre, n_post]" in rule.__doc__
    assert "aligned" in rule._repr_latex_() and r"\tau" in rule._repr_latex_()


def test_views_are_the_memory_of_the_synapses():
    s = hebb.compile(PAIR).synapses(3, 20, dtype="float64")
    w = s["w"]
    assert w.shape == (3, 20) and w.dtype == np.float64 and np.all(w == 0.5)
    w[1, 19] = 7
    s.sync()
    assert s["w"][1, 19] == 1 and w[1, 19] == 1
    s["w"] = np.linspace(0, 1, 60).reshape(3, 20)
    assert w[2, 19] == 1
    s["tau"] = 10
    s.instant(pre_spike=[0])
    s.step(10)
    assert s["x"][0] == pytest.approx(np.exp(-1)) and s.time == 10 and s.steps == 2


def test_a_view_keeps_the_memory_alive():
    s = hebb.compile(PAIR).synapses(2, 2)
    w, gone = s["w"], weakref.ref(s)
    del s
    gc.collect()
    assert gone() is not None and w[1, 1] == 0.5
    del w
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("spikes", [[1], (1,), np.array([1]), np.array([1], np.int32), np.array([1], np.uint8),
                                    np.array([False, True]), np.array([1, 9])[::2][:1]])
def test_spikes_in_every_form(spikes):
    s = hebb.compile(PAIR).synapses(2, 2)
    s.step(0.1, pre_spike=spikes)
    assert s["x"][0] == 0 and s["x"][1] > 0.9


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), np.array([1.0, 2.0], np.float32), [1, 2], (1.0, 2.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_in_every_form(value, dtype):
    s = hebb.compile(OJA).synapses(2, 3, dtype=dtype)
    s.step(1, pre_r=value, post_r=0.5)
    assert list(s["pre.r"]) == [1, 2] and list(s["post.r"]) == [0.5] * 3
    s.step(1, pre_r=None)
    assert list(s["pre.r"]) == [1, 2]


def test_dlpack_without_numpy_arrays():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **how):
            return self.array.__dlpack__(**how)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    s = hebb.compile(OJA).synapses(2, 1)
    s.step(1, pre_r=Foreign(np.array([3.0, 4.0])), post_r=Foreign(np.array([1.0])))
    assert list(s["pre.r"]) == [3, 4]


@pytest.mark.parametrize("inputs, error, words", [
    (dict(pre_r=np.array([1, 2])), TypeError, ["'pre_r'", "float64", "int64[2]"]),
    (dict(pre_r=np.zeros(3)), ValueError, ["'pre_r'", "[2]", "float64[3]"]),
    (dict(pre_r=np.zeros((2, 1))), ValueError, ["'pre_r'", "float64[2, 1]"]),
    (dict(pre_r=np.zeros(4)[::2]), ValueError, ["'pre_r'", "not contiguous", "ascontiguousarray"]),
    (dict(pre_r="much"), TypeError, ["'pre_r'", "str"]),
    (dict(pre_r=[[1], [2, 3]]), TypeError, ["'pre_r'", "list"]),
    (dict(pre_r=np.array([1, 2j])), TypeError, ["'pre_r'", "complex128"]),
    (dict(pre_q=1.0), TypeError, ["'pre_q'", "pre_r, post_r"]),
])
def test_wrong_values_say_which_expected_and_found(inputs, error, words):
    s = hebb.compile(OJA).synapses(2, 1)
    with pytest.raises(error) as caught:
        s.step(1, **inputs)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("spikes, error, words", [
    (np.array([0.5]), TypeError, ["'pre_spike'", "whole numbers", "float64[1]"]),
    (np.array([2]), IndexError, ["'pre_spike'", "0 to 1", "found 2 at place 0"]),
    ([0, -1], IndexError, ["'pre_spike'", "found -1 at place 1"]),
    (np.array([2**40]), IndexError, ["'pre_spike'", str(2**40)]),
    (np.array([True, False, True]), ValueError, ["'pre_spike'", "2 truth values", "bool[3]"]),
    (np.zeros((1, 1), int), ValueError, ["'pre_spike'", "int64[1, 1]"]),
])
def test_wrong_spikes_say_which_expected_and_found(spikes, error, words):
    s = hebb.compile(PAIR).synapses(2, 2)
    with pytest.raises(error) as caught:
        s.step(1, pre_spike=spikes)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_wrong_calls():
    rule = hebb.compile(PAIR)
    s = rule.synapses(2, 2)
    for dt in (0, -1, float("nan"), float("inf")):
        with pytest.raises(hebb.SettingError, match="dt"):
            s.step(dt)
    with pytest.raises(TypeError, match="step takes dt"):
        s.step()
    with pytest.raises(TypeError):
        s.step("1")
    with pytest.raises(hebb.SettingError, match="below 1 or too large"):
        rule.synapses(0, 1)
    with pytest.raises(hebb.HebbError):
        rule.synapses(2**60, 2**60)
    with pytest.raises(TypeError, match="'dtype'.*int64"):
        rule.synapses(1, 1, dtype=int)
    with pytest.raises(KeyError, match="'q'"):
        s["q"]
    with pytest.raises(ValueError, match=r"'w': expected \[2, 2\], found float64\[3\]"):
        s["w"] = np.zeros(3)


def test_mistakes_carry_code_span_and_help():
    with pytest.raises(hebb.RuleError) as caught:
        hebb.compile("rule R {\n  weight w;\n  w' = -q / tua;\n  param tau = 1 ms;\n}")
    error = caught.value
    assert error.code and error.span.line == 3 and "'q'" in error.message and "<text>" in str(error)
    assert any("tau" in one.help for one in (error, *error.others))
    again = pickle.loads(pickle.dumps(error))
    assert again.code == error.code and again.span == error.span
    with pytest.raises(hebb.HebbError, match="nothing_here.hebb"):
        hebb.compile("nothing_here.hebb")
    with pytest.raises(hebb.SettingError, match="say which rule: A, B"):
        hebb.compile("rule A { weight w; w' = -w / 1 s; }\nrule B { weight w; w' = -w / 1 s; }")
    with pytest.raises(TypeError, match="text_or_path"):
        hebb.compile(7)
    with pytest.raises(hebb.RuleError):
        hebb.compile(PAIR).protocol(pre=[0], post=[10], v=0.5)


def test_pickles_and_copies_go_on_as_the_original():
    s = hebb.compile("rule R { param A = 0.1; weight w; x' = -x / 5 ms + pre.spike; on every 3 ms { let a ~ normal(0, 1); w += A * a * x; } }"
                     ).synapses(4, 5, seed=3)
    s["A"] = 0.3
    for step in range(10):
        s.step(1, pre_spike=[step % 4])
    twin, copied = pickle.loads(pickle.dumps(s)), copy.deepcopy(s)
    for one in (s, twin, copied):
        for step in range(10):
            one.step(1, pre_spike=[step % 4])
    assert np.array_equal(s["w"], twin["w"]) and np.array_equal(s["w"], copied["w"]) and s.time == twin.time
    assert np.any(s["w"] != 0)


def test_pairs_are_the_same_synapses():
    rule = hebb.compile(PAIR)
    random = np.random.default_rng(1)
    pre, post = np.nonzero(random.random((6, 7)) < 0.4)
    order = random.permutation(len(pre))
    whole, some = rule.synapses(6, 7, dtype="float64"), rule.synapses(6, 7, dtype="float64", pairs=(pre[order], post[order]))
    assert some["w"].shape == (len(pre),)
    for step in range(50):
        inputs = dict(pre_spike=random.random(6) < 0.1, post_spike=random.random(7) < 0.1)
        whole.step(0.5, **inputs)
        some.step(0.5, **inputs)
    assert np.array_equal(some.pairs[0], pre) and np.array_equal(some.pairs[1], post)
    np.testing.assert_allclose(some["w"], whole["w"][pre, post], rtol=0, atol=1e-14)
    assert np.any(some["w"] != 0.5)
    with pytest.raises(hebb.SettingError, match="two synapses"):
        rule.synapses(2, 2, pairs=([0, 0], [1, 1]))
    with pytest.raises(IndexError, match=r"pairs\[1\]"):
        rule.synapses(2, 2, pairs=([0], [2]))
    with pytest.raises(ValueError, match="one length"):
        rule.synapses(2, 2, pairs=([0, 1], [1]))


def test_threads_do_not_disturb_each_other():
    rule = hebb.compile(PAIR)

    def work(out, k):
        s = rule.synapses(50, 50, seed=k, dtype="float64")
        for step in range(200):
            s.step(0.1, pre_spike=[(step * k) % 50], post_spike=[(step + k) % 50])
        out[k] = s["w"].copy()

    alone, together = {}, {}
    for k in range(4):
        work(alone, k)
    threads = [threading.Thread(target=work, args=(together, k)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(alone[k], together[k]) for k in range(4))


def test_the_lock_of_python_is_released():
    s = hebb.compile("rule R { weight w; w' = -tanh(exp(-w) + pre.r) / 1 s; }").synapses(1500, 1500)
    done, ticks = threading.Event(), 0

    def work():
        for _ in range(20):
            s.step(0.1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.001):
        ticks += 1
    thread.join()
    assert ticks > 3


def test_a_child_process_goes_on():
    s = hebb.compile(PAIR).synapses(2, 2)
    s.step(1, pre_spike=[0])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        s.step(1)
        rule = hebb.compile(OJA)
        rule.synapses(1, 1).step(1, pre_r=1.0, post_r=1.0)
        os.write(write, f"{s['x'][0]:.6f}".encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    s.step(1)
    assert os.read(read, 100).decode() == f"{s['x'][0]:.6f}"


def test_displays():
    s = hebb.compile(PAIR).synapses(200, 3)
    assert s._repr_svg_().startswith("<svg") and "hebb.Synapses(Pair, 200 x 3" in repr(s)
    p = hebb.compile(PAIR).protocol(pre=[0], post=[10], w=0.5)
    assert "<table>" in p._repr_html_() and "dw" in repr(p)


@pytest.mark.parametrize("wrong, kind, says", [
    (dict(n_pre=2**70), ValueError, "'n_pre': expected a number of at most 63 bits, found 1180591620717411303424"),
    (dict(n_post=2.5), TypeError, "'n_post': expected a whole number, found 2.5"),
    (dict(n_pre=float("nan")), TypeError, "'n_pre': expected a whole number"),
    (dict(n_pre="many"), TypeError, "'n_pre': expected a whole number, found 'many'"),
    (dict(seed=2**64), ValueError, "'seed': expected a number of at most 64 bits"),
    (dict(pairs=3), TypeError, r"'pairs': expected \(pre, post\), two lists of neurons, found int"),
])
def test_sizes_and_pairs_that_cannot_be(wrong, kind, says):
    with pytest.raises(kind, match=says):
        hebb.compile(PAIR).synapses(**{"n_pre": 2, "n_post": 2, **wrong})
