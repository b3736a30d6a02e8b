"""Actions of an experiment (protocols, runs, fits), and what they leave."""

from __future__ import annotations

import ctypes as c
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np

from ._native import Binding, Evaluation, Handle, VERSION, Value, api, check, opened
from .arrays import Series, shape_text

if TYPE_CHECKING:
    from .rules import Module


def read_value(value: Value) -> Any:
    """A copy as an array with name and unit; a number as a float; a text as a str."""
    if value.text is not None:
        return value.text.decode()
    shape = tuple(value.shape[: value.rank])
    count = int(np.prod(shape)) if shape else 1
    data = np.zeros(0) if count == 0 else np.ctypeslib.as_array(c.cast(value.data, c.POINTER(c.c_double)), (count,))
    if not shape:
        return float(data[0])
    return Series(data.reshape(shape).copy(), value.name.decode(), value.unit.decode())


class Result(Mapping[str, Any]):
    """Named values: result["Y.r"], or result.Y.r where the names are plain. ``units`` and ``text`` go with them."""

    def __init__(self, values: dict[str, Any], units: dict[str, str], text: str = ""):
        self._values, self.units, self.text = values, units, text

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._values:
            return self._values[name]
        part = self.under(name)
        if not part:
            raise AttributeError(f"there is no '{name}'; there are {', '.join(self._values)}")
        return part

    def under(self, prefix: str) -> "Result":
        """What is called "prefix.…", without the prefix."""
        at = len(prefix) + 1
        inside = [name for name in self._values if name.startswith(prefix + ".")]
        return Result({name[at:]: self._values[name] for name in inside}, {name[at:]: self.units[name] for name in inside}, self.text)

    def __repr__(self) -> str:
        def one(name: str) -> str:
            value, unit = self._values[name], self.units.get(name, "")
            what = f"{value:g}" if isinstance(value, float) else shape_text(value.shape) if isinstance(value, np.ndarray) else repr(value)
            return f"{name}: {what}{' ' + unit if unit not in ('', '1') else ''}"

        return "Result(" + ", ".join(map(one, self._values)) + ")"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{self.units.get(name, '')}</td><td>"
                       f"{shape_text(value.shape) if isinstance(value, np.ndarray) else value}</td></tr>"
                       for name, value in self._values.items())
        return f"<table>{rows}</table>"


def evaluate(module: "Module", actions: str, results: list[str], bindings: Mapping[str, Any] | None = None, seed: int = 1,
             threads: int = 1) -> Result:
    """Actions as in an experiment; the lets called `results` are kept. bindings: arrays the actions may name."""
    kept = {name: np.asarray(value, dtype=np.float64, order="C") for name, value in (bindings or {}).items()}
    table = (Binding * max(len(kept), 1))()
    for row, (name, array) in zip(table, kept.items()):
        row.name, row.data, row.rank = name.encode(), array.ctypes.data, array.ndim
        row.shape[: array.ndim] = array.shape
    what = Evaluation(VERSION, threads, seed, actions.encode(), " ".join(results).encode(), table, len(kept))
    result = Handle(opened(api.evaluate, module._handle.value, c.byref(what)), api.close_result)
    values: dict[str, Any] = {}
    units: dict[str, str] = {}
    for k in range(api.result_count(result.value)):
        value = Value()
        check(api.result_value(result.value, k, c.byref(value)))
        name = value.name.decode()
        values[name], units[name] = read_value(value), value.unit.decode()
    return Result(values, units, api.result_text(result.value).decode())
