"""Runs each network of bench/networks, or those named, three times (REPEATS in the environment) on both sides, in turns, and
prints medians and ratios.

Run: time of the steps alone. Brian2 reports it; Hebb's is the time of a long run less that of one step, both from exec to
exit. Start: exec to exit of `hebb run` with one step that nothing looks at; for Brian2 the time from the first equation to
the end of the build, without importing it and without a step.
The balanced network in Brian2 twice: by forward Euler, which Brian2 takes there when nobody names a method, and by exponential
Euler, the method that Hebb takes: an exponential a neuron and step, on both sides.
The balanced network also by hand, as tight as we can (`reference_isp.cpp`), which says how far from Brian2 anybody can get on this
machine: the synapses and potentials that Hebb draws with seed 1, from the first step on. Its spikes part from Hebb's where rounding
first differs.
Both sides draw their own synapses and spikes, so rates and weights agree in their statistics: checked here.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

STEPS = 20_000
REPEATS = int(os.environ.get("REPEATS", "3"))
# How far rates may be apart. The first two seconds of the balanced network hang on the draw of its synapses: 6.2 to 10.0 Hz over
# three seeds.
RATES = {"balance": 0.5, "pair_stdp": 0.01}


def hebb_start(network):
    begun = time.perf_counter()
    subprocess.run([os.environ["HEBB"], "run", "--quiet", f"bench/networks/{network}.hebb", "Start"], check=True, capture_output=True)
    return time.perf_counter() - begun


def hebb(network, steps):
    begun = time.perf_counter()
    done = subprocess.run([os.environ["HEBB"], "run", "--quiet", f"bench/networks/{network}.hebb", "Run", "--set", f"steps={steps}"],
                          check=True, capture_output=True, text=True)
    elapsed = time.perf_counter() - begun
    words = dict(line.split()[:2] for line in done.stdout.splitlines())
    return elapsed, float(words["rate"]), float(words["weight"])


def brian(network, steps, method="euler"):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-W", "ignore", "bench/brian2_networks.py", network, str(steps), folder, method],
                              check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def by_hand(steps):
    done = subprocess.run([os.environ["BENCH_SPIKING"], "balance-by-hand", str(steps)], check=True, capture_output=True, text=True)
    words = done.stdout.split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2])}


def check(network, rate, weight, other):
    if abs(rate - other["rate"]) > RATES[network] * rate or abs(weight - other["weight"]) > 0.002 * weight:
        sys.exit(f"{network}: rates {rate} and {other['rate']}, weights {weight} and {other['weight']} DISAGREE")


def compare(network):
    ours, theirs, starts, builds = [], [], [], []
    same_scheme = []
    for repeat in range(REPEATS):
        first, _, _ = hebb(network, 1)
        whole, rate, weight = hebb(network, STEPS)
        starts.append(hebb_start(network))
        ours.append(whole - first)
        other = brian(network, STEPS)
        theirs.append(other["run"])
        builds.append(other["build"])
        check(network, rate, weight, other)
        if network == "balance":
            exponential = brian(network, STEPS, "exponential_euler")
            same_scheme.append(exponential["run"])
            check(network, rate, weight, exponential)
    run, run_other = statistics.median(ours), statistics.median(theirs)
    start, build = statistics.median(starts), statistics.median(builds)
    print(f"{network}: {STEPS * 1e-4:g} s at 0.1 ms, {other['synapses']} plastic synapses, {rate:.2f} and {other['rate']:.2f} Hz")
    print(f"  the run itself    Hebb {run:8.3f} s   Brian2 {other['version']} {run_other:8.3f} s   ratio {run_other / run:6.1f}")
    if network == "balance":
        other_run = statistics.median(same_scheme)
        print(f"  ... both by exponential Euler  {run:8.3f} s   Brian2 {other['version']} {other_run:8.3f} s   ratio {other_run / run:6.1f}")
        hand = by_hand(STEPS)
        if abs(hand["rate"] - rate) > RATES[network] * rate or abs(hand["weight"] - weight) > 0.002 * weight:
            sys.exit(f"by hand: rates {hand['rate']} and {rate}, weights {hand['weight']} and {weight} DISAGREE")
        print(f"  the same by hand  C++  {hand['seconds']:8.3f} s   Brian2 {other['version']} {run_other:8.3f} s   ratio {run_other / hand['seconds']:6.1f}")
    print(f"  text to step one  Hebb {start:8.3f} s   Brian2 {other['version']} {build:8.3f} s   ratio {build / start:6.1f}", flush=True)


for name in sys.argv[1:] or ("balance", "pair_stdp"):
    compare(name)
