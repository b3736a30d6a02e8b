"""Pictures for notebooks, without any other package."""

from __future__ import annotations

from typing import Any

import numpy as np

_LARGEST = 96  # cells along an axis; larger arrays are averaged


def _shrunk(values: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        n = values.shape[axis]
        if n <= _LARGEST:
            continue
        edges = np.linspace(0, n, _LARGEST + 1).astype(int)
        values = np.stack([values.take(range(a, b), axis).mean(axis) for a, b in zip(edges, edges[1:])], axis)
    return values


def picture(values: Any) -> str:
    """SVG: a matrix as cells from blue (lowest) through white (0) to red (highest), a list as a line."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1 and array.size > 1:
        return _line(array)
    if array.ndim != 2 or array.size == 0:
        return ""
    array = _shrunk(array)
    finite = np.where(np.isfinite(array), array, 0.0)
    scale = float(np.abs(finite).max()) or 1.0
    rows, columns = array.shape
    cell = max(2, min(16, 480 // max(rows, columns)))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * cell}" height="{rows * cell}" shape-rendering="crispEdges">']
    for i in range(rows):
        j = 0
        while j < columns:
            colour = _colour(finite[i, j] / scale)
            end = j + 1
            while end < columns and _colour(finite[i, end] / scale) == colour:
                end += 1
            out.append(f'<rect x="{j * cell}" y="{i * cell}" width="{(end - j) * cell}" height="{cell}" fill="{colour}"/>')
            j = end
    return "".join(out) + "</svg>"


def _colour(x: float) -> str:
    fade = round(255 * (1 - abs(x)))
    return f"#ff{fade:02x}{fade:02x}" if x >= 0 else f"#{fade:02x}{fade:02x}ff"


def _line(values: np.ndarray) -> str:
    width, height = 480, 120
    if values.size > width:
        values = values[np.linspace(0, values.size - 1, width).astype(int)]
    finite = np.where(np.isfinite(values), values, 0.0)
    low, high = float(finite.min()), float(finite.max())
    span = (high - low) or 1.0
    points = " ".join(f"{k * width / (values.size - 1):.1f},{height - (v - low) / span * height:.1f}" for k, v in enumerate(finite))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f'<polyline fill="none" stroke="black" points="{points}"/></svg>')
