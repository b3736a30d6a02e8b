"""Fitting a network to recordings, by exact gradients through whole runs."""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

import numpy as np

from . import arrays
from .evaluation import Result, evaluate
from .networks import Network
from .rules import Module, load


def fit(model: str | os.PathLike[str] | Module | Network, paths: str | Sequence[str], data: Mapping[str, Any], *, network: str | None = None,
        steps: int | None = None, duration: float | None = None, settings: Mapping[str, Any] | None = None, loss: str = "mse",
        options: Mapping[str, Any] | None = None, report: bool = False, seed: int = 1, threads: int = 1) -> Result:
    """Fits `paths` ("S.theta", "S.w.init") so that a run gives `data`: {"Y.r": [steps, n] or [recordings, steps, n]}; nan is missing.

    steps (of 1 ms unless settings say dt) or duration in ms: of a run. settings: what a run is given (feeds, parameters, dt,
    batch). loss: "mse", "cross_entropy" or "cross_entropy_logits", summed over the data; or a whole formula in which the run is
    called `model` and the data data_0, data_1, …  options: of the fit (lr, steps, method, …: docs/fitting.md).
    The result has the fitted paths and "loss". report: also how well they are known, "S.theta.error", ".low" and ".high" (95 %).
    """
    if isinstance(model, Network):
        module, name = model.module, model.name
    else:
        module = model if isinstance(model, Module) else load(model)
        name = network or _only(module)
    names = [paths] if isinstance(paths, str) else list(paths)
    bindings: dict[str, np.ndarray] = {}

    def bound(prefix: str, key: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        bindings[prefix] = np.asarray(arrays.as_numpy(value, key), dtype=np.float64)
        return prefix

    if (steps is None) == (duration is None):
        raise ValueError("say how long a run is: either steps or a duration in ms")
    length = f"{int(steps)}" if steps is not None else f"{float(duration)!r} ms"  # type: ignore[arg-type]
    given = ", ".join(f"{key} = {bound(f'set_{k}', key, value)}" for k, (key, value) in enumerate({"seed": seed, **(settings or {})}.items()))
    chosen = ", ".join(f"{key} = {bound(f'option_{k}', key, value)}" for k, (key, value) in enumerate((options or {}).items()))
    terms = [f"{loss}(model.{key}, {bound(f'data_{k}', key, value)})" for k, (key, value) in enumerate(data.items())]
    formula = " + ".join(terms) if loss.isidentifier() else loss
    targets = [f"{name}.{path}" for path in names]
    actions = [f"let model = run {name} for {length} with ({given});", f"let loss = {formula};",
               f"fit {', '.join(targets)} minimize loss{f' with ({chosen})' if chosen else ''};"]
    actions += [f"let fitted_{k} = {target};" for k, target in enumerate(targets)]
    if report:
        actions += [f"let report_{k} = report({target});" for k, target in enumerate(targets)]
    kept = [f"fitted_{k}" for k in range(len(targets))] + ["loss"]
    kept += [f"report_{k}" for k in range(len(targets)) if report]
    found = evaluate(module, "\n".join(actions), kept, bindings, seed, threads)
    known = {f"{path}.{what}": found[f"report_{k}.{what}"] for k, path in enumerate(names) for what in ("error", "low", "high") if report}
    values = {path: arrays.Series(found[f"fitted_{k}"], path, found.units[f"fitted_{k}"]) if isinstance(found[f"fitted_{k}"], np.ndarray)
              else found[f"fitted_{k}"] for k, path in enumerate(names)}
    units = {path: found.units[f"fitted_{k}"] for k, path in enumerate(names)}
    return Result(values | known | {"loss": found["loss"]}, units | {name: "" for name in [*known, "loss"]}, found.text)


def _only(module: Module) -> str:
    if len(module.networks) != 1:
        raise ValueError(f"say which network: {', '.join(module.networks) or 'the source declares none'}")
    return module.networks[0]
