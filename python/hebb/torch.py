"""A rule as a differentiable operation of PyTorch: step(rule, …) → a module whose backward is the compiler's gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .gradients import StepFunction
from .rules import Rule


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: StepFunction, names: tuple[str, ...], *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.function, ctx.names = function, names
        ctx.save_for_backward(*values)
        after = function({name: _numpy(value) for name, value in zip(names, values)})
        like = values[0]
        return tuple(torch.from_numpy(after[name]).to(like.dtype) for name in function.carried)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *bars: torch.Tensor | None) -> tuple[Any, ...]:
        given = {name: _numpy(value) for name, value in zip(ctx.names, ctx.saved_tensors)}
        found = ctx.function.vjp(given, {name: _numpy(bar) for name, bar in zip(ctx.function.carried, bars) if bar is not None})
        return (None, None, *(torch.from_numpy(found[name]).to(value.dtype) for name, value in zip(ctx.names, ctx.saved_tensors)))


def _numpy(value: torch.Tensor) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy(), dtype=np.float64, order="C")


class Step:
    """step(w=…, pre_r…) with tensors by name ({"w": tensor, "pre.r": tensor}) → {"w": tensor, …} after one step of dt ms."""

    def __init__(self, rule: Rule, n_pre: int, n_post: int, dt: float = 1.0, seed: int = 1, moment: dict[str, Any] | None = None):
        self.function = StepFunction(rule, n_pre, n_post, dt, seed, moment)

    def __call__(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = tuple(values)
        after = _Step.apply(self.function, names, *(values[name] for name in names))
        return dict(zip(self.function.carried, after))
