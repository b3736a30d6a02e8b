"""Hebb: plasticity rules and the networks they live in, compiled while your program runs.

    rule = hebb.compile("rule Oja { weight w; w' = 0.1 [1/s] * (pre.r * post.r - post.r^2 * w); }")
    rule.protocol(pre_r=0.5, post_r=2, w=0, steps=100).w
    net = hebb.network("network.hebb", "EI")
    net.run(1000, record=["E.r"])["E.r"]

Times are in ms, voltages in mV, currents in pA. hebb.torch and hebb.jax make steps of rules differentiable there.
"""

from ._native import api as _api
from .arrays import Series
from .errors import ClosedError, DivergedError, HebbError, RuleError, SettingError, Span
from .evaluation import Result, evaluate
from .fitting import fit
from .gradients import StepFunction
from .networks import Network, Simulator, network
from .rules import Module, Rule, Synapses, Variable, compile, load, protocol as _protocol

__version__ = _api.version_text().decode().split()[-1]
__all__ = ["ClosedError", "DivergedError", "HebbError", "Module", "Network", "Result", "Rule", "RuleError", "Series", "SettingError",
           "Simulator", "Span", "StepFunction", "Synapses", "Variable", "compile", "evaluate", "fit", "load", "network"]
