"""Rules of the library against Brian2 (clock 0.1 ms, exact event-driven equations) on the same spike trains.

Each rule gets four pairs of neurons with their own trains of 3 s. No pre spike coincides with a post spike of
its pair: Brian2 leaves the order of two pathways at one instant to the author, Hebb does not.
"""
import os
import pathlib
import subprocess

import brian2
import numpy
import pytest
from brian2 import Hz, ms, second

brian2.prefs.codegen.target = "numpy"
ROOT = pathlib.Path(__file__).resolve().parents[2]
HEBB = os.environ["HEBB"]
PAIRS = 4
STEP = 0.1  # ms

TRACES = "dx/dt = -x / tau_plus : 1 (event-driven)\ndy/dt = -y / tau_minus : 1 (event-driven)\n"
TAU_20 = dict(tau_plus=20 * ms, tau_minus=20 * ms)
TAU_PFISTER = dict(tau_plus=16.8 * ms, tau_minus=33.7 * ms)

# import path: (what is compared, its start, equations, on pre, on post, constants). Equations are typed from the
# papers that the rule's file names.
RULES = {
    "stdp.PairSTDP": ("w", 0.5, TRACES, "w = clip(w - 0.00525 * y, 0, 1); x += 1", "w = clip(w + 0.005 * x, 0, 1); y += 1", TAU_20),
    "stdp.AllToAll": ("w", 0.5, TRACES, "w = clip(w - 0.00525 * y, 0, 1); x += 1", "w = clip(w + 0.005 * x, 0, 1); y += 1", TAU_PFISTER),
    "stdp.NearestSymmetric": ("w", 0.5, TRACES, "w = clip(w - 0.00525 * y, 0, 1); x = 1", "w = clip(w + 0.005 * x, 0, 1); y = 1", TAU_PFISTER),
    "stdp.PresynapticCentred": ("w", 0.5, TRACES, "w = clip(w - 0.00525 * y, 0, 1); x += 1",
                                "w = clip(w + 0.005 * x, 0, 1); x = 0; y = 1", TAU_PFISTER),
    "stdp.RestrictedSymmetric": ("w", 0.5, TRACES, "w = clip(w - 0.00525 * y, 0, 1); x = 1; y = 0",
                                 "w = clip(w + 0.005 * x, 0, 1); x = 0; y = 1", TAU_PFISTER),
    "stdp.MultiplicativeSTDP": ("w", 0.5, TRACES, "w = clip(w - 0.005 * 1.05 * w * y, 0, 1); x += 1",
                                "w = clip(w + 0.005 * (1 - w) * x, 0, 1); y += 1", TAU_20),
    "stdp.NonlinearSTDP": ("w", 0.5, TRACES, "w = clip(w - 0.005 * 1.05 * w**0.02 * y, 0, 1); x += 1",
                           "w = clip(w + 0.005 * (1 - w)**0.02 * x, 0, 1); y += 1", TAU_20),
    "stdp.PowerLawSTDP": ("w", 30, TRACES, "w = clip(w - 0.1 * 0.11 * w * y, 0, inf); x += 1",
                          "w = clip(w + 0.1 * w**0.4 * x, 0, inf); y += 1", TAU_20),
    "stdp.Triplet": ("w", 1, TRACES + "dr2/dt = -r2 / (101*ms) : 1 (event-driven)\ndo2/dt = -o2 / (125*ms) : 1 (event-driven)\n",
                     "w = clip(w - y * (7e-3 + 2.3e-4 * r2), 0, 2); x += 1; r2 += 1",
                     "w = clip(w + x * (5e-10 + 6.2e-3 * o2), 0, 2); y += 1; o2 += 1", TAU_PFISTER),
    "stdp.TripletMinimalNearest": ("w", 1, TRACES + "do2/dt = -o2 / (40*ms) : 1 (event-driven)\n",
                                   "w = clip(w - 8e-3 * y, 0, 2); x = 1", "w = clip(w + 5e-2 * x * o2, 0, 2); y = 1; o2 = 1", TAU_PFISTER),
    "istdp.Inhibitory": ("w", 0.5, TRACES, "w = clip(w + 1e-3 * (y - 0.12), 0, inf); x += 1",
                         "w = clip(w + 1e-3 * x, 0, inf); y += 1", TAU_20),
    "stp.TsodyksMarkram": ("x", 1, "du/dt = -u / (530*ms) : 1 (event-driven)\ndx/dt = (1 - x) / (130*ms) : 1 (event-driven)\n",
                           "u += 0.03 * (1 - u); x -= u * x", None, {}),
    "stp.Depression": ("x", 1, "dx/dt = (1 - x) / (800*ms) : 1 (event-driven)\n", "x -= 0.5 * x", None, {}),
}


def trains(seed):
    """Spike times in whole steps: per pair (pre, post), about 40 each, none shared."""
    random = numpy.random.default_rng(seed)
    drawn = [random.permutation(numpy.arange(1, 30_000))[:80] for _ in range(PAIRS)]
    return [(numpy.sort(steps[:40]), numpy.sort(steps[40:])) for steps in drawn]


def in_hebb(rule, variable, start, pairs, folder):
    name = rule.split(".")[-1]

    def times(steps):
        return "[" + ", ".join(f"{step / 10} ms" for step in steps) + "]"

    unit = " pA" if name == "PowerLawSTDP" else ""
    lines = [f"import std.{rule};", "experiment Compare {"]
    for i, (pre, post) in enumerate(pairs):
        lines.append(f"  let p{i} = protocol({name}, pre = {times(pre)}, post = {times(post)}, w = {start}{unit}, until = 3 s).{variable};")
    lines += [f"  save {', '.join(f'p{i}' for i in range(PAIRS))} to \"out.npz\";", "}"]
    path = folder / "compare.hebb"
    path.write_text("\n".join(lines))
    subprocess.run([HEBB, "run", "--quiet", str(path)], cwd=folder, check=True, env={**os.environ, "HEBB_STDLIB": str(ROOT / "stdlib")})
    saved = numpy.load(next(folder.rglob("out.npz")))
    return numpy.array([float(saved[f"p{i}"]) for i in range(PAIRS)])


def in_brian2(variable, start, equations, on_pre, on_post, constants, pairs):
    brian2.start_scope()
    brian2.defaultclock.dt = STEP * ms

    def source(side):
        index = numpy.concatenate([numpy.full(len(pair[side]), i) for i, pair in enumerate(pairs)])
        steps = numpy.concatenate([pair[side] for pair in pairs])
        return brian2.SpikeGeneratorGroup(PAIRS, index, steps * STEP * ms, sorted=False)

    pre, post = source(0), source(1)
    weight = "" if variable != "w" else "w : 1\n"
    synapses = brian2.Synapses(pre, post, equations + weight, on_pre=on_pre, on_post=on_post, namespace={**constants, "inf": numpy.inf})
    synapses.connect(j="i")
    setattr(synapses, variable, start)
    network = brian2.Network(pre, post, synapses)
    network.run(3 * second)
    value = getattr(synapses, variable)[:]
    if variable == "w":
        return value
    # A state between its events: Brian2 brings it up to date only at a spike.
    last = synapses.lastupdate[:]
    tau = 130 * ms if "530" in equations else 800 * ms
    return 1 - (1 - value) * numpy.exp(-(3 * second - last) / tau)


@pytest.mark.parametrize("rule", RULES)
def test_same_trains_same_weights(rule, tmp_path):
    variable, start, *brian = RULES[rule]
    pairs = trains(seed=sorted(RULES).index(rule))
    ours = in_hebb(rule, variable, start, pairs, tmp_path)
    theirs = in_brian2(variable, start, *brian, pairs)
    assert numpy.all(ours != start)
    numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0)
