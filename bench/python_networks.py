"""A network driven from Python beside the same network in `hebb run`: pair STDP, 6.4 million synapses (networks/pair_stdp.hebb).

python_networks.py HEBB: the command. Processor time of a step, one thread; of the command the difference of a long run and a short one,
so that its start and its end cancel. In turns, medians. Fails when the two disagree about the weights.
"""
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

import hebb

SHORT, LONG, TURNS, DT = 1_000, 9_000, 3, 0.1
file = pathlib.Path(__file__).parent / "networks" / "pair_stdp.hebb"


def by_command(steps):
    """Seconds, and the mean weight that it prints."""
    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    begin = spent()
    words = subprocess.run([sys.argv[1], "run", str(file), "Run", "--set", f"steps={steps}"], check=True, capture_output=True, text=True).stdout.split()
    return spent() - begin, float(words[words.index("weight") + 1])


def seconds(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin


command, python = [], []
for _ in range(TURNS):
    short, _ = by_command(SHORT)
    long, weight = by_command(LONG)
    command.append((long - short) / (LONG - SHORT))
    net = hebb.network(file, "Pairs")
    net.run(steps=SHORT, dt=DT)
    python.append(seconds(lambda: net.run(steps=LONG - SHORT, dt=DT)) / (LONG - SHORT))
    found = float(np.mean(net["S.w"]))
    if abs(found - weight) > 1e-6:
        sys.exit(f"bench: the mean weight is {found} from Python and {weight} by the command")
command, python = statistics.median(command), statistics.median(python)
print(f"a step of hebb run {1e6 * command:.1f} us, of net.run {1e6 * python:.1f} us, ratio {python / command:.2f}")
for steps in (100, 10, 1):
    took = statistics.median(seconds(lambda: net.run(steps=steps, dt=DT)) for _ in range(15))
    print(f"net.run(steps={steps}): {1e6 * took / steps:.0f} us a step")
for name in ("S.w", "X.wait"):
    net.get(name)
    net.run(steps=1, dt=DT)
    print(f"net[{name!r}]: {1e3 * seconds(lambda: net.get(name)):.1f} ms")
