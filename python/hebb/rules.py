"""Rules, and blocks of their synapses."""

from __future__ import annotations

import ctypes as c
import os
import pathlib
from dataclasses import dataclass
from typing import Any, Iterator

import numpy as np

from . import arrays
from ._native import Array, Bar, Handle, Source, Stepper, VERSION, api, api_address, check, described, opened
from .errors import HebbError, SettingError
from .evaluation import Result, evaluate

_INPUT_KINDS = {"signal": 0, "pre value": 0, "post value": 0, "pre spikes": 1, "post spikes": 1, "event": 2}


@dataclass(frozen=True)
class Variable:
    """One variable of a rule.

    name: as in the rule ("pre.r"); keyword: the same as a name of Python ("pre_r"). kind: "parameter", "weight", "state",
    "signal", "pre value", "post value", "pre spikes", "post spikes", "event", …  per: "one", "pre", "post" or "synapse".
    """

    name: str
    keyword: str
    kind: str
    per: str
    unit: str
    shape: tuple[int, ...]
    meaning: str


class Module:
    """A source, checked. ``rules`` and ``networks`` name what it declares."""

    def __init__(self, text: str | None, name: str):
        self.text, self.name = text, name
        source = Source(VERSION, 1, None if text is None else text.encode(), name.encode())
        self._handle = Handle(opened(api.compile, c.byref(source)), api.close_module)
        self._facts = described(api.describe, self._handle.value)

    def __reduce__(self) -> Any:
        text = self.text if self.text is not None else pathlib.Path(self.name).read_text()
        return Module, (text, self.name)

    @property
    def rules(self) -> list[str]:
        """Names of the rules the source itself declares."""
        return [rule["name"] for rule in self._facts["rules"] if rule["own"]]

    @property
    def networks(self) -> list[str]:
        """Names of the networks the source itself declares."""
        return [network["name"] for network in self._facts["networks"] if network["own"]]

    def rule(self, name: str | None = None) -> "Rule":
        """The rule of that name; without a name, the only one."""
        if name is None:
            own = self.rules
            if len(own) != 1:
                raise SettingError(f"say which rule: {', '.join(own) or 'the source declares none'}")
            name = own[0]
        return Rule(self, name)

    def facts(self, name: str) -> dict[str, Any]:
        for rule in self._facts["rules"]:
            if rule["name"] == name:
                return rule
        raise SettingError(f"there is no rule called '{name}'; there are {', '.join(r['name'] for r in self._facts['rules'])}")

    def __repr__(self) -> str:
        return f"hebb.Module({self.name!r}, rules={self.rules}, networks={self.networks})"


def is_path(text_or_path: Any) -> bool:
    if isinstance(text_or_path, os.PathLike):
        return True
    if not isinstance(text_or_path, str):
        raise TypeError(f"'text_or_path': expected the text of a rule or a path, found {type(text_or_path).__name__}")
    return "\n" not in text_or_path and "{" not in text_or_path


def load(text_or_path: str | os.PathLike[str]) -> Module:
    """A source as a module: its text, or the path of a file (one line without a brace is a path)."""
    if is_path(text_or_path):
        return Module(None, os.fspath(text_or_path))
    return Module(str(text_or_path), "<text>")


def compile(text_or_path: str | os.PathLike[str], rule: str | None = None) -> "Rule":
    """A rule, from its text or from a file.

    rule: which, when the source declares several. Raises RuleError with the place of a mistake, and what to do about it.
    """
    return load(text_or_path).rule(rule)


class Rule:
    """A rule of plasticity: to look at, to try on one synapse (protocol), to run on many (synapses)."""

    def __init__(self, module: Module, name: str):
        self.module, self.name = module, name
        facts = module.facts(name)
        self.doc: str = facts["doc"]
        self.contract: str = facts["contract"]
        self.grid_required: bool = facts["grid_required"]
        self.latex: list[str] = facts["latex"]
        self.variables = {f["name"]: Variable(f["name"], f["c_name"], f["kind"], f["per"], f["unit"], tuple(f["shape"]), f["meaning"])
                          for f in facts["fields"]}
        self.__doc__ = self._document()
        self._compiled: dict[int, Handle] = {}

    def __reduce__(self) -> Any:
        return Rule, (self.module, self.name)

    def __repr__(self) -> str:
        return f"hebb.Rule({self.name!r})"

    def _document(self) -> str:
        lines = [self.doc or f"The rule {self.name}.", ""]
        for v in self.variables.values():
            shape = {"one": "", "pre": "[n_pre]", "post": "[n_post]", "synapse": "[n_pre, n_post]"}[v.per]
            shape += f"[{', '.join(map(str, v.shape))}]" if v.shape else ""
            unit = v.unit if v.unit not in ("", "1") else "no unit" if v.unit else "any unit"
            lines.append(f"{v.name}: {v.kind}{', ' + shape if shape else ''}, {unit}. {v.meaning}")
        return "\n".join(lines)

    def _repr_latex_(self) -> str:
        return "$$\\begin{aligned}" + r" \\ ".join(line.replace(" = ", " &= ", 1).replace(r" \leftarrow ", r" &\leftarrow ", 1)
                                                  for line in self.latex) + "\\end{aligned}$$"

    def handle(self, dtype: Any = np.float64) -> int:
        """The machine code for that type, made when it is first needed."""
        bytes = real_bytes(dtype)
        if bytes not in self._compiled:
            self._compiled[bytes] = Handle(opened(api.open_rule, self.module._handle.value, self.name.encode(), bytes), api.close_rule)
        return self._compiled[bytes].value

    def synapses(self, n_pre: int, n_post: int, seed: int = 1, dtype: Any = np.float32, pairs: Any = None) -> "Synapses":
        """Synapses between all pairs of n_pre and n_post neurons; or between `pairs`: (pre, post), two lists of neurons."""
        return Synapses(self, n_pre, n_post, seed, dtype, pairs)

    def protocol(self, parameters: dict[str, Any] | None = None, /, **settings: Any) -> Result:
        """One synapse of this rule between two neurons that do as they are told.

        settings: ``pre`` and ``post``, times of spikes in ms; ``pre_r``-like values, a number or one a step; ``w`` and other start
        values; ``steps``, ``dt``, ``until`` in ms. parameters: of the rule, by name. The result has w, dw, every other
        variable at the end, and pre.x, post.x: x just before each spike.
        """
        return protocol(self, parameters or {}, settings)

    def step_function(self, n_pre: int, n_post: int, dt: float = 1.0, seed: int = 1) -> "Any":
        """One step as a pure function with an exact gradient; hebb.torch and hebb.jax wrap it. See gradients.StepFunction."""
        from .gradients import StepFunction

        return StepFunction(self, n_pre, n_post, dt, seed)


def real_bytes(dtype: Any) -> int:
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"'dtype': expected float32 or float64, found {kind}")
    return kind.itemsize


def protocol(rule: Rule, parameters: dict[str, Any], settings: dict[str, Any]) -> Result:
    by_keyword = {v.keyword: v.name for v in rule.variables.values()}
    bindings: dict[str, np.ndarray] = {}

    def binding(name: str, value: Any) -> str:
        key = f"given_{len(bindings)}"
        array = arrays.as_numpy(value, name).astype(np.float64)
        bindings[key] = array
        return key

    inner = ", ".join(f"{name} = {binding(name, value)}" for name, value in parameters.items())
    outer = "".join(f", {by_keyword.get(name, name)} = {binding(name, value)}" for name, value in settings.items())
    call = f"{rule.name}({inner})" if parameters else rule.name
    found = evaluate(rule.module, f"let p = protocol({call}{outer});", ["p"], bindings)
    return found.under("p")


class _Explain:
    """For _hot: an input it does not take as it is, converted or refused with a reason; a code as an exception."""

    def __init__(self, rule: Rule, n_pre: int, n_post: int):
        self.name, self.n_pre, self.n_post = rule.name, n_pre, n_post
        self.inputs = {v.keyword: v for v in rule.variables.values() if v.kind in _INPUT_KINDS}

    def neurons(self, variable: Variable) -> int:
        return {"pre": self.n_pre, "post": self.n_post}.get(variable.per, 1)

    def __call__(self, code: int, keyword: str, value: Any) -> Any:
        if code < 0:
            check(code)
        variable = self.inputs.get(keyword)
        if variable is None:
            raise TypeError(f"'{keyword}' is no input of {self.name}; there are {', '.join(self.inputs) or 'none'}")
        n = self.neurons(variable)
        if variable.kind in ("pre spikes", "post spikes"):
            return arrays.spikes(value, n, keyword)
        width = int(np.prod(variable.shape)) if variable.shape else 1
        return arrays.numbers(value, (n, width) if width > 1 else (n,), keyword)


class Synapses(Stepper):
    """A block of synapses of a rule and the calls of one step.

    ``s["w"]`` is a NumPy view of the synapses' own memory, [n_pre, n_post] (of pairs: [pairs]), small arrays with their axis last:
    read it and write it between calls; call sync() after writing. Inputs are keyword arguments of step and instant.
    """

    def __init__(self, rule: Rule, n_pre: int, n_post: int, seed: int = 1, dtype: Any = np.float32, pairs: Any = None):
        self.rule, self.n_pre, self.n_post = rule, arrays.whole(n_pre, "n_pre"), arrays.whole(n_post, "n_post")
        self.seed = arrays.whole(seed, "seed", 64)
        self.dtype = np.dtype(dtype)
        if pairs is not None and (not hasattr(pairs, "__len__") or len(pairs) != 2):
            raise TypeError(f"'pairs': expected (pre, post), two lists of neurons, found {type(pairs).__name__}")
        self._pairs = None if pairs is None else tuple(arrays.spikes(side, n, f"pairs[{k}]")
                                                       for k, (side, n) in enumerate(zip(pairs, (n_pre, n_post), strict=True)))
        compiled = rule.handle(dtype)
        if self._pairs is None:
            instance = opened(api.open_instance, compiled, self.n_pre, self.n_post, self.seed)
        else:
            pre, post = self._pairs
            if len(pre) != len(post):
                raise ValueError(f"'pairs': expected two lists of one length, found {len(pre)} and {len(post)} neurons")
            instance = opened(api.open_sparse, compiled, self.n_pre, self.n_post, arrays.address(pre), arrays.address(post),
                              len(pre), self.seed)
        self._instance = instance
        explain = _Explain(rule, self.n_pre, self.n_post)  # not a method: the Stepper would hold itself
        super().__init__(api_address, instance, explain,
                         [(v.keyword, v.name, _INPUT_KINDS[v.kind], explain.neurons(v)) for v in explain.inputs.values()])

    def _view(self, name: str) -> np.ndarray:
        array = Array()
        code = api.get_array(self._instance, name.encode(), c.byref(array))
        if code == -22:
            raise KeyError(f"'{name}': {self.rule.name} has {', '.join(self.rule.variables)}")
        check(code)
        kind, size = (c.c_double, 8) if array.real_bytes == 8 else (c.c_float, 4)
        total = (array.width - 1) * array.plane + (array.pres - 1) * array.row + array.posts
        memory = (kind * total).from_address(array.data)
        memory._owner = self  # the memory lives as long as any view of it
        flat = np.frombuffer(memory, dtype=self.dtype)
        variable = self.rule.variables[name]
        shape, strides = [], []
        if variable.per == "synapse" and self._pairs is None:
            shape, strides = [array.pres, array.posts], [array.row * size, size]
        elif variable.per != "one":
            shape, strides = [array.posts], [size]
        if array.width > 1:
            shape, strides = shape + [array.width], strides + [array.plane * size]
        view = np.lib.stride_tricks.as_strided(flat, shape, strides)
        return view.reshape(view.shape[:-1] + variable.shape) if len(variable.shape) > 1 and view.flags.c_contiguous else view

    def __getitem__(self, name: str) -> np.ndarray:
        return self._view(name)

    def __setitem__(self, name: str, value: Any) -> None:
        view = self._view(name)
        array = arrays.as_numpy(value, name)
        try:
            view[...] = array
        except ValueError:
            raise ValueError(f"'{name}': expected {arrays.shape_text(view.shape)}, found {arrays.described(array)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.rule.variables)

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a sparse block: pre and post neuron of each synapse, in the order of its arrays."""
        if self._pairs is None:
            return None
        order = np.lexsort((self._pairs[1], self._pairs[0]))
        return self._pairs[0][order], self._pairs[1][order]

    @property
    def steps(self) -> int:
        return self._clock()[0]

    @property
    def time(self) -> float:
        """In ms."""
        return self._clock()[1]

    def _clock(self) -> tuple[int, float]:
        steps, time = c.c_int64(), c.c_double()
        check(api.get_clock(self._instance, c.byref(steps), c.byref(time)))
        return steps.value, time.value

    def sync(self) -> None:
        """After writing, and before reading what the rule has written: everything up to date and within bounds."""
        check(api.sync(self._instance))

    def start(self) -> None:
        """Start values again, from the parameters as they are now."""
        check(api.start(self._instance))

    def vjp(self, dt: float, bars: dict[str, Any], wanted: Any = (), **inputs: Any) -> dict[str, np.ndarray]:
        """The gradient of the step that would come next, from the values as they are now; changes nothing.

        bars: d(loss)/d(value after the step) of weights and states, by name. Returns d(loss)/d(value before) of these, and of
        whatever is `wanted`: parameters and given values.
        """
        self._give(**inputs)
        names = list(dict.fromkeys([*bars, *wanted]))
        out: dict[str, np.ndarray] = {}
        for name in names:
            shape = self._view(name).shape
            out[name] = arrays.numbers(bars[name], shape, name).copy() if name in bars else np.zeros(shape)
        table = (Bar * len(names))(*[Bar(name.encode(), arrays.address(out[name]), out[name].size) for name in names])
        error = c.c_void_p()
        check(api.vjp(self._instance, float(dt), table, len(names), c.byref(error)), error)
        return out

    def state(self) -> dict[str, np.ndarray]:
        """Copies of everything that is carried on, and the parameters."""
        return {v.name: self._view(v.name).copy() for v in self.rule.variables.values()
                if v.kind in ("parameter", "weight", "state", "signal", "pre value", "post value", "period")}

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.state(), "clock": self._clock()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state["values"].items():
            self._view(name)[...] = value
        check(api.set_clock(self._instance, *state["clock"]))

    def __reduce__(self) -> Any:
        return Synapses, (self.rule, self.n_pre, self.n_post, self.seed, self.dtype.name, self._pairs), self.__getstate__()

    def __repr__(self) -> str:
        what = f"{self.n_pre} x {self.n_post}" if self._pairs is None else f"{len(self._pairs[0])} pairs of {self.n_pre} x {self.n_post}"
        return f"hebb.Synapses({self.rule.name}, {what}, {self.dtype.name}, {self.time:g} ms)"

    def _repr_svg_(self) -> str | None:
        from .display import picture

        weight = next((v.name for v in self.rule.variables.values() if v.kind == "weight"), None)
        return picture(self[weight]) if weight and self._pairs is None else None
