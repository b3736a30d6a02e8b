"""What goes wrong, as exceptions that carry code, place and help."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """Where in a source: lines and columns count from 1."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class HebbError(Exception):
    """A mistake in a rule, a refused setting, or a failure of the world.

    code: that of the diagnostic ("D01"; ``hebb explain D01`` says more), or the number libhebb returned.
    span: where, or None. help: what to do, or "". others: further mistakes of the same source.
    """

    def __init__(self, message: str, code: str = "", span: Span | None = None, help: str = "", rendered: str = "",
                 others: tuple["HebbError", ...] = ()):
        super().__init__(rendered or message)
        self.message, self.code, self.span, self.help = message, code, span, help
        self.rendered, self.others = rendered, others

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.code, self.span, self.help, self.rendered, self.others)


class RuleError(HebbError):
    """The text of a rule, network or action is wrong."""


class SettingError(HebbError, ValueError):
    """An argument is out of range, or nothing has that name."""


class DivergedError(HebbError, ArithmeticError):
    """A value is no longer finite."""


class ClosedError(HebbError):
    """The handle is closed."""


_KINDS = {-20: ClosedError, -21: RuleError, -22: SettingError, -24: SettingError, -25: DivergedError}


def _diagnostic(kind: type[HebbError], line: dict[str, Any]) -> HebbError:
    spans = [s for s in line.get("spans", []) if s.get("is_primary")] or line.get("spans", [])
    span = None
    if spans:
        s = spans[0]
        span = Span(s["file_name"], s["line_start"], s["column_start"], s["line_end"], s["column_end"])
    help = next((child["message"] for child in line.get("children", []) if child.get("level") == "help"), "")
    code = (line.get("code") or {}).get("code", "")
    return kind(line["message"], code, span, help, line.get("rendered", "").rstrip())


def from_text(code: int, text: str, about: str = "") -> HebbError:
    """The exception for a code of libhebb and its text, which may be lines of JSON."""
    kind = _KINDS.get(code, SettingError if -11 <= code < 0 else HebbError)
    found = []
    if text.startswith("{"):
        for line in text.splitlines():
            try:
                one = json.loads(line)
            except ValueError:
                continue
            if isinstance(one, dict) and one.get("level") == "error":
                found.append(_diagnostic(kind, one))
    if found:
        found[0].others = tuple(found[1:])
        return found[0]
    return kind(f"{about}: {text}" if about else text, str(code))
