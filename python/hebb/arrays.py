"""Arrays that come from outside: what was expected, what was found."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np


def as_numpy(value: Any, name: str) -> np.ndarray:
    """Without a copy where the value is an array in the memory of the host: NumPy, or anything with __dlpack__."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        if hasattr(value, "detach"):
            value = value.detach()
        try:
            return np.from_dlpack(value)
        except (BufferError, TypeError, RuntimeError) as problem:
            raise TypeError(f"'{name}': expected an array in the memory of the host, found one that says: {problem}") from None
    try:
        array = np.asarray(value)
    except ValueError as problem:
        raise TypeError(f"'{name}': expected numbers, found {type(value).__name__}: {problem}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"'{name}': expected numbers, found {type(value).__name__}")
    return array


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "__dlpack__")


def described(array: np.ndarray) -> str:
    order = "" if array.flags.c_contiguous else ", not contiguous"
    return f"{array.dtype}{list(array.shape)}{order}"


def shape_text(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else "one number"


def whole(value: Any, name: str, bits: int = 63) -> int:
    """A whole number that the border can carry; floats may be whole too."""
    try:
        number = int(value)
        good = number == value
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise TypeError(f"'{name}': expected a whole number, found {value!r}")
    if not -(1 << 63) <= number < 1 << bits:
        raise ValueError(f"'{name}': expected a number of at most {bits} bits, found {number}")
    return number


def numbers(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """float64 of that shape. Lists and single numbers are converted; arrays must be float and fit."""
    array = as_numpy(value, name)
    if is_array(value) and array.dtype not in (np.float32, np.float64):
        raise TypeError(f"'{name}': expected float64 or float32 {shape_text(shape)}, found {described(array)}")
    if array.ndim == 0 and not is_array(value):
        return np.full(shape, float(array))
    if array.shape != shape:
        raise ValueError(f"'{name}': expected {shape_text(shape)}, found {described(array)}")
    if is_array(value) and not array.flags.c_contiguous:
        raise ValueError(f"'{name}': expected an array in C order, found {described(array)}: give numpy.ascontiguousarray(…)")
    return np.asarray(array, dtype=np.float64, order="C")


def without_nan(array: np.ndarray, name: str) -> np.ndarray:
    missing = np.isnan(array)
    if missing.any():
        place = [int(i) for i in np.argwhere(missing)[0]]
        raise ValueError(f"'{name}': expected numbers, found nan" + (f" at {place}" if place else ""))
    return array


def spikes(value: Any, neurons: int, name: str) -> np.ndarray:
    """Numbers of neurons as int32; from a list of numbers, or one truth value for each neuron."""
    array = as_numpy(value, name)
    if array.size == 0 and array.ndim <= 1:
        return np.empty(0, np.int32)
    if array.ndim != 1:
        raise ValueError(f"'{name}': expected a list of neurons, found {described(array)}")
    if array.dtype == np.bool_:
        if array.shape != (neurons,):
            raise ValueError(f"'{name}': expected {neurons} truth values, found {described(array)}")
        return np.flatnonzero(array).astype(np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"'{name}': expected whole numbers (which neurons) or truth values, found {described(array)}")
    wrong = np.flatnonzero((array < 0) | (array >= neurons))
    if wrong.size:
        raise IndexError(f"'{name}': expected neurons from 0 to {neurons - 1}, found {array[wrong[0]]} at place {wrong[0]}")
    return array.astype(np.int32)


def output(out: Any, shape: tuple[int, ...], name: str = "out") -> np.ndarray:
    """An array to write into."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"'{name}': expected a NumPy array to write into, found {type(out).__name__}")
    if out.dtype != np.float64 or out.shape != shape or not out.flags.c_contiguous:
        raise ValueError(f"'{name}': expected float64 {shape_text(shape)} in C order, found {described(out)}")
    if not out.flags.writeable:
        raise ValueError(f"'{name}': expected an array to write into, found a read-only one")
    return out


def address(array: np.ndarray) -> c.c_void_p:
    return c.c_void_p(array.ctypes.data)


class Series(np.ndarray):
    """A NumPy array that knows what it is: ``name`` and ``unit``."""

    name: str
    unit: str

    def __new__(cls, values: Any, name: str = "", unit: str = "") -> "Series":
        array = np.asarray(values).view(cls)
        array.name, array.unit = name, unit
        return array

    def __array_finalize__(self, other: Any) -> None:
        self.name = getattr(other, "name", "")
        self.unit = getattr(other, "unit", "")

    def __reduce__(self) -> Any:
        function, arguments, state = super().__reduce__()
        return function, arguments, (state, self.name, self.unit)

    def __setstate__(self, state: Any) -> None:
        base, self.name, self.unit = state
        super().__setstate__(base)

    def _repr_html_(self) -> str:
        from .display import picture

        unit = f" in {self.unit}" if self.unit not in ("", "1") else ""
        return f"<div>{self.name}{unit}, {shape_text(self.shape)}</div>{picture(self)}"
