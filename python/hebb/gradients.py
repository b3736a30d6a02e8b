"""One step of a rule as a pure function of arrays, with the gradient that the compiler makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arrays
from .rules import Rule, Synapses


class StepFunction:
    """step(values) → values after one step of dt ms, for any dict of the rule's names.

    ``carried`` names weights and states: what comes back. ``taken`` names everything that may be given: these, parameters and
    given values. What is not given is as the rule declares it. Spikes and events are given once, with ``moment``. float64.
    """

    def __init__(self, rule: Rule, n_pre: int, n_post: int, dt: float = 1.0, seed: int = 1, moment: dict[str, Any] | None = None):
        self.rule, self.n_pre, self.n_post, self.dt, self.seed, self.moment = rule, n_pre, n_post, float(dt), seed, dict(moment or {})
        self._synapses = Synapses(rule, n_pre, n_post, seed, np.float64)
        kinds = {v.name: v.kind for v in rule.variables.values()}
        self.carried = [name for name, kind in kinds.items() if kind in ("weight", "state")]
        self.taken = self.carried + [name for name, kind in kinds.items() if kind in ("parameter", "signal", "pre value", "post value")]
        self._start = {name: self._synapses[name].copy() for name in self.taken}

    def __reduce__(self) -> Any:
        return StepFunction, (self.rule, self.n_pre, self.n_post, self.dt, self.seed, self.moment)

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self._start:
            raise KeyError(f"'{name}': {self.rule.name} takes {', '.join(self.taken)}")
        return self._start[name].shape

    def _place(self, values: dict[str, Any]) -> None:
        for name in values:
            self.shape(name)
        self._synapses.__setstate__({"values": {}, "clock": (0, 0.0)})
        for name in self.taken:
            view = self._synapses[name]
            view[...] = arrays.numbers(values[name], view.shape, name) if name in values else self._start[name]

    def __call__(self, values: dict[str, Any]) -> dict[str, np.ndarray]:
        self._place(values)
        self._synapses.step(self.dt, **self.moment)
        return {name: self._synapses[name].copy() for name in self.carried}

    def vjp(self, values: dict[str, Any], bars: dict[str, Any]) -> dict[str, np.ndarray]:
        """d(loss)/d(each of values), given d(loss)/d(what comes back)."""
        self._place(values)
        all_bars = {name: bars.get(name, np.zeros(self.shape(name))) for name in self.carried}
        found = self._synapses.vjp(self.dt, all_bars, [name for name in values if name not in self.carried], **self.moment)
        return {name: found[name] for name in values}
