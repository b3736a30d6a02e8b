"""A rule as a differentiable operation of JAX: a custom_vjp over the compiler's gradient, under jit too (on the host)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .gradients import StepFunction
from .rules import Rule


class Step:
    """step({"w": array, "pre.r": array}) → {"w": array, …} after one step of dt ms."""

    def __init__(self, rule: Rule, n_pre: int, n_post: int, dt: float = 1.0, seed: int = 1, moment: dict[str, Any] | None = None):
        function = self.function = StepFunction(rule, n_pre, n_post, dt, seed, moment)

        def shapes(names: list[str], dtype: Any) -> dict[str, jax.ShapeDtypeStruct]:
            return {name: jax.ShapeDtypeStruct(function.shape(name), dtype) for name in names}

        def kind(values: dict[str, Any]) -> Any:
            return jnp.result_type(*values.values())

        def on_host(values: dict[str, Any]) -> dict[str, np.ndarray]:
            dtype = next(iter(values.values())).dtype
            after = function({name: np.asarray(value, dtype=np.float64, order="C") for name, value in values.items()})
            return {name: value.astype(dtype) for name, value in after.items()}

        def back_on_host(values: dict[str, Any], bars: dict[str, Any]) -> dict[str, np.ndarray]:
            as_double = lambda some: {name: np.asarray(value, dtype=np.float64, order="C") for name, value in some.items()}
            found = function.vjp(as_double(values), as_double(bars))
            return {name: found[name].astype(value.dtype) for name, value in values.items()}

        @jax.custom_vjp
        def step(values: dict[str, Any]) -> dict[str, Any]:
            return jax.pure_callback(on_host, shapes(function.carried, kind(values)), values, vmap_method="sequential")

        def forward(values: dict[str, Any]) -> Any:
            return step(values), values

        def backward(values: dict[str, Any], bars: dict[str, Any]) -> Any:
            out = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in values.items()}
            return (jax.pure_callback(back_on_host, out, values, bars, vmap_method="sequential"),)

        step.defvjp(forward, backward)
        self._step = step

    def __call__(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._step({name: jnp.asarray(value) for name, value in values.items()})
