"""The networks of bench/networks in Brian2's C++ standalone mode, float32, one thread.

Usage: brian2_networks.py NETWORK STEPS FOLDER [METHOD]. METHOD solves the neurons' equations: euler (default) or
exponential_euler. Prints one JSON line: seconds from the equations to the end of the
build (`build`), seconds of the run alone as Brian2 reports it (`run`), rate in Hz and mean weight.
"""
import json
import sys
import time

import brian2
import numpy
from brian2 import Hz, NeuronGroup, PopulationRateMonitor, PoissonGroup, Synapses, ms, mV

DT = 0.1 * ms


def balance(method):
    """Vogels et al. (2011), as stdlib/neurons/lif_conductance.hebb and stdlib/istdp/inhibitory.hebb state it."""
    neuron = """
        dv/dt = (-60*mV - v + 20*mV + ge*(0*mV - v) + gi*(-80*mV - v)) / (20*ms) : volt (unless refractory)
        dge/dt = -ge / (5*ms) : 1
        dgi/dt = -gi / (10*ms) : 1
    """
    cells = NeuronGroup(10_000, neuron, threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * ms, method=method)
    cells.v = "-60*mV + 5*mV*randn()"
    excitatory, inhibitory = cells[:8000], cells[8000:]
    g = 0.3
    parts = [cells]
    for source, target, weight, port in ((excitatory, excitatory, g, "ge"), (excitatory, inhibitory, g, "ge"),
                                         (inhibitory, inhibitory, 10 * g, "gi")):
        fixed = Synapses(source, target, on_pre=f"{port}_post += {weight}", delay=0.8 * ms)
        fixed.connect(p=0.02)
        parts.append(fixed)
    plastic = Synapses(inhibitory, excitatory, """
        w : 1
        dx/dt = -x / (20*ms) : 1 (event-driven)
        dy/dt = -y / (20*ms) : 1 (event-driven)
        """, on_pre="gi_post += w; w = clip(w + 1e-3 * (y - 0.12), 0, inf); x += 1",
        on_post="w = clip(w + 1e-3 * x, 0, inf); y += 1", namespace={"inf": numpy.inf})
    plastic.connect(p=0.02)
    plastic.w = 10 * g
    plastic.pre.delay = 0.8 * ms
    return parts + [plastic], plastic, excitatory


def pair_stdp(_):
    """Song, Miller and Abbott (2000) between Poisson neurons, as stdlib/stdp/pair_stdp.hebb states it."""
    pre, post = PoissonGroup(8000, 10 * Hz), PoissonGroup(8000, 10 * Hz)
    plastic = Synapses(pre, post, """
        w : 1
        dx/dt = -x / (20*ms) : 1 (event-driven)
        dy/dt = -y / (20*ms) : 1 (event-driven)
        """, on_pre="w = clip(w - 0.00525 * y, 0, 1); x += 1", on_post="w = clip(w + 0.005 * x, 0, 1); y += 1")
    plastic.connect(p=0.1)
    plastic.w = 0.5
    return [pre, post, plastic], plastic, post


def main():
    name, steps, folder, *method = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    brian2.prefs.core.default_float_dtype = numpy.float32
    brian2.set_device("cpp_standalone", directory=folder, build_on_run=False)
    brian2.seed(1)
    brian2.defaultclock.dt = DT
    begun = time.perf_counter()
    parts, plastic, watched = {"balance": balance, "pair_stdp": pair_stdp}[name](method[0] if method else "euler")
    rates = PopulationRateMonitor(watched)
    network = brian2.Network(*parts, rates)
    network.run(steps * DT)
    brian2.device.build(directory=folder, compile=True, run=False)
    built = time.perf_counter()
    brian2.device.run(folder, with_output=False)
    ended = time.perf_counter()
    print(json.dumps({
        "version": brian2.__version__, "build": built - begun, "whole": ended - begun, "run": brian2.device._last_run_time,
        "rate": float(numpy.mean(rates.rate / Hz)), "weight": float(numpy.mean(plastic.w[:])), "synapses": len(plastic.w[:]),
    }))


main()
