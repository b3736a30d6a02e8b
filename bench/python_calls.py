"""What one step costs from Python beyond the kernel: of one synapse, where the kernel is nearly nothing.

python_calls.py NANOSECONDS: of the same step called from C, as bench_embed measured it. CPU time, medians.
"""
import statistics
import sys
import time

import numpy as np

import hebb

CALLS, TURNS = 20_000, 21
kernel = float(sys.argv[1])
rule = hebb.compile("rule Oja { param eta = 0.0001; weight w in [-10, 10]; "
                    "on step { w += eta * (pre.r * post.r - post.r^2 * w); } }")
synapse = rule.synapses(1, 1)
x, y, spikes = np.array([0.5], np.float32), np.array([0.25], np.float32), np.array([0], np.int32)
pair = hebb.compile("rule Pair { weight w in [0, 1]; x' = -x / 20 ms + pre.spike; y' = -y / 20 ms + post.spike; "
                    "w' = 0.01 * (x * post.spike - y * pre.spike); }").synapses(1, 1)
step, pair_step = synapse.step, pair.step


def nothing_given():
    for _ in range(CALLS):
        step(1.0)


def two_arrays():
    for _ in range(CALLS):
        step(1.0, pre_r=x, post_r=y)


def two_numbers():
    for _ in range(CALLS):
        step(1.0, pre_r=0.5, post_r=0.25)


def spikes_of_both():
    for _ in range(CALLS):
        pair_step(1.0, pre_spike=spikes, post_spike=spikes)


def loop():
    for _ in range(CALLS):
        pass


def nanoseconds(work):
    times = []
    for _ in range(TURNS):
        begin = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - begin) / CALLS)
    return statistics.median(times)


empty = nanoseconds(loop)
print(f"{'step(dt, …) from Python':28} {'ns':>8} {'beyond the kernel':>18}")
for work in (nothing_given, two_numbers, two_arrays, spikes_of_both):
    took = nanoseconds(work) - empty
    print(f"{work.__name__.replace('_', ' '):28} {took:8.0f} {took - kernel:15.0f} ns")
