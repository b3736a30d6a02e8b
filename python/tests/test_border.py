"""What no caller may do to the process: every mistake comes back as an exception, nothing is printed."""
import ctypes

import numpy as np
import pytest

import hebb
from conftest import NETWORK, OJA, SOURCE
from hebb._native import Bar, Source, Value, api

FILES = sorted([*(SOURCE / "tests" / "diagnostics").glob("*.hebb"), *(SOURCE / "tests" / "parse").glob("*.hebb")])


def test_every_mistake_of_the_language_is_an_exception(capfd):
    refused = 0
    for path in FILES:
        try:
            module = hebb.load(path)
        except hebb.HebbError as error:
            refused += 1
            assert error.message and "broken promise" not in str(error), path
            continue
        assert isinstance(module.rules, list)
    assert refused > 80
    assert capfd.readouterr() == ("", "")


def test_cut_sources_are_exceptions():
    text = (SOURCE / "stdlib" / "stdp" / "pair_stdp.hebb").read_text()
    for end in range(0, len(text), 7):
        try:
            hebb.load(text[:end] + "\n")
        except hebb.HebbError as error:
            assert "broken promise" not in str(error)


@pytest.mark.parametrize("actions", ["}", "let p = ;", "let p = q;", "print 1", "} experiment B {", "let p = p;", "fit Q;",
                                     "assert 1 == 2;", "let p = run Net for 5;", "let p = load(\"/nonexistent\");", "\0", "let p = [1, 2][7];"])
def test_wrong_actions(actions, capfd):
    module = hebb.load(NETWORK)
    with pytest.raises(hebb.HebbError) as caught:
        hebb.evaluate(module, actions, ["p"])
    assert "broken promise" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_prints_come_back_as_text(capfd):
    found = hebb.evaluate(hebb.load(NETWORK), 'print "y:", 1 + x; let y = x @ [1, 2];', ["y"], {"x": np.array([1.0, 2.0])})
    assert found["y"] == 5 and found.text.startswith("y:") and capfd.readouterr() == ("", "")


def test_null_and_closed_handles_and_other_versions():
    codes = [api.step(None, 1.0), api.step(12345, 1.0), api.run(None, 1, 1.0, None), api.close_module(99), api.sync(None), api.start(7),
             api.result_count(None), api.close_result(3), api.network_record(None, b"w", 1), api.get_clock(None, None, None),
             api.network_restart(None, 1), api.vjp(None, 1.0, None, 0, None), api.network_recording(None, b"w", None)]
    assert codes == [-20] * len(codes)
    assert api.result_text(None) is None
    handle, error = ctypes.c_void_p(), ctypes.c_void_p()
    for version in (0, 1, 99):
        assert api.compile(Source(version, 0, b"", None), handle, error) == -2
        api.free_text(error)
    assert api.compile(None, handle, None) == -1
    assert api.compile(Source(2, 0, None, None), handle, None) == -1
    assert api.compile(Source(2, 7, b"", None), handle, None) == -24
    module = hebb.load(NETWORK)._handle
    api.close_module(module.value)
    assert api.describe(module.value, handle, None) == -20
    module.value = 0


def test_absurd_numbers():
    s = hebb.compile(OJA).synapses(2, 2, dtype="float64")
    bars = (Bar * 1)(Bar(b"w", np.zeros(4).ctypes.data, 3))
    assert api.vjp(s._instance, 1.0, bars, 1, None) == -8
    assert api.vjp(s._instance, 1.0, bars, -1, None) == -8
    assert api.vjp(s._instance, 1.0, None, 1, None) == -1
    assert api.set_clock(s._instance, -1, 0.0) == -24 and api.set_clock(s._instance, 1, float("nan")) == -24
    net = hebb.network(NETWORK)
    assert api.network_record(net._handle.value, b"Y.r", -1) == -24 and api.network_record(net._handle.value, b"Q", 1) == -22
    assert api.network_recording(net._handle.value, b"Y.r", ctypes.byref(Value())) == -22
    with pytest.raises(hebb.HebbError):
        net.run(steps=2**62, odor=0.1, record=["Y.r"])
    with pytest.raises(hebb.HebbError):
        hebb.network(NETWORK.replace("Y[3]", "Y[2000000000]").replace("X[2]", "X[2000000000]").replace("odor[2]", "odor[2000000000]"))
