"""Networks that run, and their use as simulators."""

from __future__ import annotations

import ctypes as c
import os
import threading
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np

from . import arrays
from ._native import Handle, NetworkOptions, VERSION, Value, api, check, described, opened
from .errors import DivergedError, HebbError, SettingError
from .evaluation import Result, read_value
from .rules import Module, load, real_bytes


def network(text_or_path: str | os.PathLike[str] | Module, name: str | None = None, seed: int = 1, threads: int = 1,
            dtype: Any = np.float32, dt: float | None = None) -> "Network":
    """The network of that name (without one, the only one) of a text or a file, at its start values.

    dt: the step of its runs, in ms, when they do not say another (default 1 ms; 0.1 ms where an equation has to be stepped). Delays
    that differ between synapses are rounded to whole steps of it.
    """
    module = text_or_path if isinstance(text_or_path, Module) else load(text_or_path)
    return Network(module, name, seed, threads, dtype, dt)


class Network:
    """A network and its state. ``net["W.w"]`` is a copy of what it holds; ``net["W.w"] = array`` sets it.

    Names are those of the network: "POP.var", "PROJ.var", signals. ``values`` says what there is, ``feeds`` what a run must or
    may be fed. run goes on from where the last one ended; restart begins again.
    """

    def __init__(self, module: Module, name: str | None = None, seed: int = 1, threads: int = 1, dtype: Any = np.float32,
                 dt: float | None = None):
        if dt is not None and not (float(dt) > 0 and np.isfinite(float(dt))):
            raise SettingError(f"'dt': expected a number of ms above 0, found {dt}")
        self.module, self.seed, self.threads, self.dtype = module, arrays.whole(seed, "seed", 64), arrays.whole(threads, "threads", 31), np.dtype(dtype)
        options = NetworkOptions(VERSION, real_bytes(dtype), self.seed, self.threads, 0, 0 if dt is None else float(dt))
        handle = opened(api.open_network, module._handle.value, None if name is None else name.encode(), c.byref(options))
        self._handle = Handle(handle, api.close_network)
        facts = self._describe()
        self.name: str = facts["name"]
        self.grid_required: bool = facts["grid_required"]
        self.dt: float = (0.1 if self.grid_required else 1.0) if dt is None else float(dt)
        self._step_of_delays: float = facts["step_of_delays"]  # 0: no delays of single synapses
        self._parameters: dict[str, np.ndarray] = {}

    def _describe(self) -> Any:
        facts = described(api.network_describe, self._handle.value)
        self.values: dict[str, dict[str, Any]] = {v["name"]: v for v in facts["values"]}
        self.feeds: dict[str, dict[str, Any]] = {f["name"]: f for f in facts["feeds"]}
        return facts

    def __repr__(self) -> str:
        return f"hebb.Network({self.name!r}, seed={self.seed}, feeds={list(self.feeds)})"

    def __reduce__(self) -> Any:
        """As at its start, with the parameters that were set: what runs in other processes."""
        return _again, (self.module, self.name, self.seed, self.threads, self.dtype.name, self.dt, self._parameters)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self.values:
            raise KeyError(f"'{name}': {self.name} has {', '.join(self.values)}")
        return tuple(self.values[name]["shape"])

    def get(self, name: str, out: np.ndarray | None = None) -> np.ndarray:
        """What the network holds under that name, as float64; into `out` when it is given."""
        shape = self._shape(name)
        array = np.empty(shape) if out is None else arrays.output(out, shape)
        check(api.network_get(self._handle.value, name.encode(), arrays.address(array), array.size))
        return array if out is not None else arrays.Series(array, name, self.values[name]["unit"])

    __getitem__ = get

    def __setitem__(self, name: str, value: Any) -> None:
        shape = self._shape(name)
        array = arrays.without_nan(arrays.numbers(value, shape, name), name)
        check(api.network_set(self._handle.value, name.encode(), arrays.address(array), array.size), about=name)
        if self.values[name]["role"] == "parameter":
            self._parameters[name] = array

    def restart(self, seed: int | None = None) -> None:
        """Start values and draws anew; parameters that were set are kept."""
        self.seed = self.seed if seed is None else arrays.whole(seed, "seed", 64)
        check(api.network_restart(self._handle.value, self.seed))
        self._describe()  # with another seed, another number of synapses
        for name, value in self._parameters.items():
            check(api.network_set(self._handle.value, name.encode(), arrays.address(value), value.size), about=name)

    def run(self, duration: float | None = None, *, steps: int | None = None, dt: float | None = None,
            record: Iterable[str] | Mapping[str, int] = (), progress: bool = False, **feeds: Any) -> Result:
        """Runs `duration` ms, or `steps` steps of dt ms (default: the network's).

        record: names to keep, each step, or {name: every how many steps}; the result has them as [samples, …] arrays with unit.
        feeds: by name, with "_" for ".": [steps, n], one row for all steps, or one number. progress: a bar (with tqdm).
        """
        steps, dt, every, given = self._checked(duration, steps, dt, record, feeds)
        pieces: list[Result] = []
        at = 0
        try:
            for name, interval in every.items():
                check(api.network_record(self._handle.value, name.encode(), int(interval)), about=name)
            for length in _lengths(steps, progress, every):
                self._feed(given, at, length)
                error = c.c_void_p()
                check(api.run(self._handle.value, length, dt, c.byref(error)), error)
                pieces.append(self._recorded(every))
                at += length
        finally:
            for name in every:
                api.network_record(self._handle.value, name.encode(), 0)
        values = {name: pieces[0][name] if len(pieces) == 1 else arrays.Series(np.concatenate([p[name] for p in pieces]), name, pieces[0].units[name])
                  for name in every}
        return Result(values, {name: self.values[name]["unit"] for name in every})

    def _checked(self, duration: float | None, steps: int | None, dt: float | None, record: Iterable[str] | Mapping[str, int],
                 feeds: Mapping[str, Any]) -> tuple[int, float, dict[str, int], dict[str, tuple[np.ndarray, bool]]]:
        """What a run is asked for: how many steps of which length, what to keep how often, what it is fed."""
        dt = self.dt if dt is None else float(dt)
        if (duration is None) == (steps is None):
            raise SettingError("say how long: either a duration in ms or steps")
        if steps is None:
            if not (dt > 0 and np.isfinite(dt) and np.isfinite(float(duration))):  # type: ignore[arg-type]
                raise SettingError(f"'duration' and 'dt': expected numbers of ms, dt above 0, found {duration} and {dt}")
            length = float(duration) / dt  # type: ignore[arg-type]
            steps = round(length)
            if abs(length - steps) > 1e-6 * max(1.0, steps) or (steps == 0 and length != 0):
                raise SettingError(f"'duration': {duration} ms is {length:g} steps of dt = {dt:g} ms, expected a whole number of them")
        steps = arrays.whole(steps, "steps")
        if steps < 0:
            raise SettingError(f"expected 0 steps or more, found {steps}")
        if self._step_of_delays and abs(dt - self._step_of_delays) > 1e-9 * dt:
            raise SettingError(f"'dt': the delays of single synapses of {self.name} are whole steps of {self._step_of_delays:g} ms, found {dt:g} ms; "
                               f"open it with hebb.network(…, dt={dt:g})")
        every = dict(record) if isinstance(record, Mapping) else {name: 1 for name in record}
        for name in every:
            self._shape(name)
        return steps, dt, every, self._read_feeds(feeds, steps)

    def _read_feeds(self, feeds: Mapping[str, Any], steps: int) -> dict[str, tuple[np.ndarray, bool]]:
        known = {name.replace(".", "_"): name for name in self.feeds} | {name: name for name in self.feeds}
        out = {}
        for keyword, value in feeds.items():
            if keyword not in known:
                raise TypeError(f"'{keyword}' is nothing that {self.name} is fed; there are {', '.join(self.feeds) or 'none'}")
            shape = tuple(self.feeds[known[keyword]]["shape"])
            array = arrays.as_numpy(value, keyword)
            if array.ndim == 0 or (array.shape == shape and array.ndim > 0):
                out[known[keyword]] = np.ascontiguousarray(np.broadcast_to(array, shape), dtype=np.float64), True
                continue
            if array.shape[1:] != shape or array.shape[0] < steps:
                row = f", {arrays.shape_text(shape)}" if shape else ""
                raise ValueError(f"'{keyword}': expected {arrays.shape_text((steps, *shape))}{row} or one number, "
                                 f"found {arrays.described(array)}")
            out[known[keyword]] = arrays.numbers(value, array.shape, keyword), False
        for name, feed in self.feeds.items():
            if name not in out and not feed["event"]:
                raise SettingError(f"{self.name} is fed '{name}', and this run gives none: add {name.replace('.', '_')}=…")
        return out

    def _feed(self, given: Mapping[str, tuple[np.ndarray, bool]], at: int, length: int) -> None:
        for name, (array, constant) in given.items():
            part = array if constant else array[at : at + length]
            rows = max(int(np.prod(self.feeds[name]["shape"])), 1)
            check(api.network_feed(self._handle.value, name.encode(), arrays.address(part), rows, 0 if constant else length), about=name)

    def _recorded(self, every: Iterable[str]) -> Result:
        values = {}
        for name in every:
            value = Value()
            check(api.network_recording(self._handle.value, name.encode(), c.byref(value)), about=name)
            values[name] = read_value(value)
        return Result(values, {name: self.values[name]["unit"] for name in every})

    def simulator(self, parameters: Sequence[str], measures: Callable[["Network"], Any] | Sequence[str], *, seed: int = 1,
                  steps: int | None = None, duration: float | None = None, dt: float | None = None,
                  record: Iterable[str] = (), **feeds: Any) -> "Simulator":
        """A function from rows of parameters to rows of measures, for sbi, Dask, Ray and joblib; see Simulator."""
        return Simulator(self, list(parameters), measures, seed, dict(steps=steps, duration=duration, dt=dt, record=list(record), **feeds))


def _again(module: Module, name: str, seed: int, threads: int, dtype: str, dt: float, parameters: dict[str, np.ndarray]) -> Network:
    made = Network(module, name, seed, threads, dtype, dt)
    for key, value in parameters.items():
        made[key] = value
    return made


def _lengths(steps: int, progress: bool, every: Mapping[str, int]) -> Iterable[int]:
    """The run in pieces, with a bar around them when it is asked for and tqdm is there."""
    if not progress or steps < 2:
        return [steps]
    unit = int(np.lcm.reduce([int(n) for n in every.values()] or [1]))
    piece = max(-(-steps // 100) // unit, 1) * unit
    lengths = [min(piece, steps - at) for at in range(0, steps, piece)]
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return lengths
    return tqdm(lengths, unit_scale=piece, unit=" steps")


_LENGTHS = ("steps", "duration", "dt", "record")   # what a run is told beside its feeds


class Simulator:
    """simulate(theta): [k] parameters → [m] measures, or [n, k] → [n, m] float64, row by row.

    A row depends on the seed, its parameters and its place in the array only (``first`` says where a part of a larger array
    begins), so the same seed gives the same numbers in any process. A row that fails is NaN. Anything with __dlpack__ comes back
    as the same kind of array. measures: names (their means at the end), or a function of the network and the result of its run.
    """

    def __init__(self, net: Network, parameters: list[str], measures: Any, seed: int, run: dict[str, Any]):
        self.net, self.parameters, self.measures, self.seed, self.settings = net, parameters, measures, int(seed), run
        for name in parameters:
            net._shape(name)
        net._checked(run["duration"], run["steps"], run["dt"], run["record"], {k: v for k, v in run.items() if k not in _LENGTHS})
        self._count: int | None = len(measures) if not callable(measures) else None
        self._turn = threading.Lock()  # threads (Dask, joblib) share the network: one row at a time

    def __reduce__(self) -> Any:
        return Simulator, (self.net, self.parameters, self.measures, self.seed, self.settings)

    def __call__(self, theta: Any, first: int = 0) -> Any:
        array = arrays.as_numpy(theta, "theta")
        rows = np.atleast_2d(np.asarray(array, dtype=np.float64))
        if array.ndim > 2 or rows.shape[1] != len(self.parameters):
            raise ValueError(f"'theta': expected [n, {len(self.parameters)}], found {arrays.described(array)}")
        found = [self._row(row, first + k) for k, row in enumerate(rows)]
        width = self._count if self._count is not None else next((len(r) for r in found if r is not None), 1)
        out = np.full((len(rows), width), np.nan)
        for k, row in enumerate(found):
            if row is not None:
                out[k] = row
        out = out if array.ndim == 2 else out[0]
        if type(theta).__module__.split(".")[0] == "torch":
            import torch

            return torch.as_tensor(out, dtype=theta.dtype if theta.dtype.is_floating_point else torch.float32)
        return out

    def _row(self, row: np.ndarray, place: int) -> np.ndarray | None:
        with self._turn:
            return self._run_row(row, place)

    def _run_row(self, row: np.ndarray, place: int) -> np.ndarray | None:
        seed = int(np.random.SeedSequence([self.seed, place]).generate_state(1, np.uint64)[0])
        kept = dict(self.net._parameters)
        try:
            if not np.all(np.isfinite(row)):
                return None
            for name, value in zip(self.parameters, row):
                shape = self.net._shape(name)
                if self.net.values[name]["role"] == "parameter":
                    self.net._parameters[name] = np.full(shape, value)
            self.net.restart(seed)
            for name, value in zip(self.parameters, row):
                if self.net.values[name]["role"] != "parameter":
                    self.net[name] = np.full(self.net._shape(name), value)
            result = self.net.run(**self.settings)
            return self._measured(result)
        except (DivergedError, ArithmeticError, HebbError):
            return None
        finally:
            self.net._parameters = kept

    def _measured(self, result: Result) -> np.ndarray | None:
        if callable(self.measures):
            try:
                values = self.measures(self.net, result)
            except ArithmeticError:
                return None
            row = np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel()
        else:
            row = np.array([float(np.mean(self.net.get(name))) for name in self.measures])
        if self._count is not None and len(row) != self._count:
            raise ValueError(f"'measures': expected {self._count} numbers, as before, found {len(row)}")
        self._count = len(row)
        return row if np.all(np.isfinite(row)) else None
