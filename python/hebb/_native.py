"""The table of functions of libhebb (hebb.h, version 2) through ctypes, and the calls of one step from ``_hot``.

The folder of both is ``$HEBB_NATIVE``, or ``_native`` in this package.
"""

from __future__ import annotations

import ctypes as c
import importlib.util
import json
import os
import pathlib
import sys
from typing import Any

from .errors import HebbError, from_text

VERSION = 3
_char_pp = c.POINTER(c.c_char_p)


class Source(c.Structure):
    _fields_ = [("version", c.c_uint32), ("messages", c.c_uint32), ("text", c.c_char_p), ("name", c.c_char_p)]


class Field(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_char_p), ("per", c.c_char_p), ("unit", c.c_char_p),
                ("meaning", c.c_char_p), ("width", c.c_int64)]


class Array(c.Structure):
    _fields_ = [("data", c.c_void_p), ("real_bytes", c.c_int32), ("unused", c.c_int32), ("pres", c.c_int64),
                ("posts", c.c_int64), ("width", c.c_int64), ("row", c.c_int64), ("plane", c.c_int64)]


class NetworkOptions(c.Structure):
    _fields_ = [("version", c.c_uint32), ("real_bytes", c.c_int32), ("seed", c.c_uint64), ("threads", c.c_int32),
                ("unused", c.c_int32), ("dt", c.c_double)]


class Bar(c.Structure):
    _fields_ = [("field", c.c_char_p), ("values", c.c_void_p), ("count", c.c_int64)]


class Value(c.Structure):
    _fields_ = [("name", c.c_char_p), ("unit", c.c_char_p), ("text", c.c_char_p), ("data", c.c_void_p),
                ("rank", c.c_int64), ("shape", c.c_int64 * 8)]


class Binding(c.Structure):
    _fields_ = [("name", c.c_char_p), ("data", c.c_void_p), ("rank", c.c_int64), ("shape", c.c_int64 * 8)]


class Evaluation(c.Structure):
    _fields_ = [("version", c.c_uint32), ("threads", c.c_int32), ("seed", c.c_uint64), ("actions", c.c_char_p),
                ("results", c.c_char_p), ("bindings", c.POINTER(Binding)), ("binding_count", c.c_int64)]


_H, _I64, _D, _TEXT, _ERROR = c.c_void_p, c.c_int64, c.c_double, c.c_char_p, c.POINTER(c.c_void_p)
_HP = c.POINTER(c.c_void_p)
_INT, _U64 = c.c_int, c.c_uint64


def _row(name: str, result: Any, *arguments: Any) -> tuple[str, Any]:
    return name, c.CFUNCTYPE(result, *arguments)


class Api(c.Structure):
    """In the order of hebb.h."""

    _fields_ = [
        ("version", c.c_uint32), ("size", c.c_uint32),
        _row("version_text", _TEXT), _row("code_text", _TEXT, _INT), _row("free_text", None, c.c_void_p),
        _row("compile_text", _INT, _TEXT, _TEXT, _HP, _ERROR), _row("compile_file", _INT, _TEXT, _HP, _ERROR),
        _row("close_module", _INT, _H),
        _row("open_rule", _INT, _H, _TEXT, c.c_int32, _HP, _ERROR), _row("close_rule", _INT, _H),
        _row("field_count", _I64, _H), _row("get_field", _INT, _H, _I64, c.POINTER(Field)),
        _row("open_instance", _INT, _H, _I64, _I64, _U64, _HP, _ERROR), _row("close_instance", _INT, _H),
        _row("get_array", _INT, _H, _TEXT, c.POINTER(Array)),
        _row("set", _INT, _H, _TEXT, c.c_void_p, _I64), _row("get", _INT, _H, _TEXT, c.c_void_p, _I64),
        _row("give_spikes", _INT, _H, _TEXT, c.c_void_p, _I64), _row("give_values", _INT, _H, _TEXT, c.c_void_p, _I64),
        _row("give_event", _INT, _H, _TEXT),
        _row("instant", _INT, _H), _row("step", _INT, _H, _D), _row("sync", _INT, _H), _row("start", _INT, _H),
        _row("open_network", _INT, _H, _TEXT, c.POINTER(NetworkOptions), _HP, _ERROR), _row("close_network", _INT, _H),
        _row("network_size", _I64, _H, _TEXT), _row("network_set", _INT, _H, _TEXT, c.c_void_p, _I64),
        _row("network_get", _INT, _H, _TEXT, c.c_void_p, _I64),
        _row("network_feed", _INT, _H, _TEXT, c.c_void_p, _I64, _I64), _row("run", _INT, _H, _I64, _D, _ERROR),
        _row("compile", _INT, c.POINTER(Source), _HP, _ERROR), _row("describe", _INT, _H, _ERROR, _ERROR),
        _row("open_sparse", _INT, _H, _I64, _I64, c.c_void_p, c.c_void_p, _I64, _U64, _HP, _ERROR),
        _row("get_clock", _INT, _H, c.POINTER(_I64), c.POINTER(_D)), _row("set_clock", _INT, _H, _I64, _D),
        _row("vjp", _INT, _H, _D, c.POINTER(Bar), _I64, _ERROR),
        _row("network_record", _INT, _H, _TEXT, _I64), _row("network_recording", _INT, _H, _TEXT, c.POINTER(Value)),
        _row("network_restart", _INT, _H, _U64), _row("network_describe", _INT, _H, _ERROR, _ERROR),
        _row("evaluate", _INT, _H, c.POINTER(Evaluation), _HP, _ERROR),
        _row("result_count", _I64, _H), _row("result_value", _INT, _H, _I64, c.POINTER(Value)),
        _row("result_text", _TEXT, _H), _row("close_result", _INT, _H),
    ]


def _folder() -> pathlib.Path:
    given = os.environ.get("HEBB_NATIVE")
    return pathlib.Path(given) if given else pathlib.Path(__file__).parent / "_native" / "lib"


def _load() -> tuple[Any, int, Any]:
    folder = _folder()
    path = folder / "libhebb.so"
    if not path.exists():
        raise ImportError(f"hebb: there is no {path}; install the package, or say where libhebb is with HEBB_NATIVE")
    library = c.CDLL(str(path))
    library.hebb_get_api.restype = c.POINTER(Api)
    library.hebb_get_api.argtypes = [c.c_uint32]
    table = library.hebb_get_api(VERSION)
    if not table:
        raise ImportError(f"hebb: {path} has no functions of version {VERSION}: it belongs to another build")
    spec = importlib.util.spec_from_file_location("hebb._hot", folder / "_hot.abi3.so")
    if spec is None or spec.loader is None:
        raise ImportError(f"hebb: there is no _hot.abi3.so in {folder}")
    hot = importlib.util.module_from_spec(spec)
    sys.modules["hebb._hot"] = hot
    spec.loader.exec_module(hot)
    if hot.API_VERSION != VERSION:
        raise ImportError(f"hebb: _hot.abi3.so in {folder} is of version {hot.API_VERSION}, expected {VERSION}")
    return table.contents, c.addressof(table.contents), hot


api, api_address, hot = _load()
Stepper = hot.Stepper


def take_text(pointer: c.c_void_p) -> str:
    """The text, which is freed."""
    if not pointer.value:
        return ""
    text = c.string_at(pointer.value).decode("utf-8", "replace")
    api.free_text(pointer)
    return text


def check(code: int, error: c.c_void_p | None = None, about: str = "") -> None:
    """Raises what a code and the text that came with it mean."""
    text = take_text(error) if error is not None else ""
    if code == 0:
        return
    raise from_text(code, text or api.code_text(code).decode(), about)


def opened(function: Any, *arguments: Any) -> int:
    """The handle that function(*arguments, &handle, &error) opens."""
    handle, error = c.c_void_p(), c.c_void_p()
    check(function(*arguments, c.byref(handle), c.byref(error)), error)
    return int(handle.value or 0)


def described(function: Any, handle: int) -> Any:
    text, error = c.c_void_p(), c.c_void_p()
    check(function(handle, c.byref(text), c.byref(error)), error)
    return json.loads(take_text(text))


class Handle:
    """Closes when nobody needs it any more."""

    def __init__(self, value: int, close: Any):
        self.value, self._close = value, close

    def __del__(self) -> None:
        if self.value:
            self._close(self.value)
            self.value = 0
