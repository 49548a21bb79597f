"""What ``--format`` templates can call, and how their values print: Go's and docker's functions over plain data."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dockyard.cli.failures import plain_json
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = Callable[..., Any]

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<precision>\d+))?(?P<verb>[a-zA-Z%])")
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Record(dict[str, Any]):
    """An object whose fields are known: asking for another one is an error, as for a Go struct."""


class Row(Record):
    """A line of a table; its JSON has sorted keys and escapes, as docker's lists have."""


class Missing:
    """What a map gives for a key that it does not have; prints ``<no value>``."""

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


def dump(value: Any) -> str:
    """JSON as Go writes it: no spaces, nothing but what must be is escaped."""
    if isinstance(value, Missing):
        value = None
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=isinstance(value, Row))
    return plain_json(text.translate(_HTML) if isinstance(value, Row) else text)


def show(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, Missing):
        return "<no value>"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, Record):
        return "{" + " ".join(map(_inner, value.values())) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(_inner, value)) + "]"
    return str(value)


def is_true(value: Any) -> bool:
    """Whether Go's ``if`` takes it: not false, zero, nil or empty; a struct always is."""
    return isinstance(value, Record) or bool(value)


def _inner(value: Any) -> str:
    return "<nil>" if value is None else show(value)


def index(value: Any, *keys: Any) -> Any:
    """Go's ``index``: into lists by number, into maps by key; a missing key gives an empty text."""
    for key in keys:
        if isinstance(value, list | tuple | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise Invalid(f"cannot index with {show(key)}")
            if not 0 <= key < len(value):
                raise Invalid(f"error calling index: index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        elif isinstance(value, dict):
            value = value.get(key, "")
        else:
            raise Invalid(f"error calling index: can't index {show(value)}")
    return value


def cut(value: Any, *bounds: Any) -> Any:
    """Go's ``slice``: the part of a list or text between two positions."""
    if not isinstance(value, list | tuple | str):
        raise Invalid(f"error calling slice: can't slice {show(value)}")
    ends = [*bounds, *([0, len(value)][len(bounds) :])]
    if len(ends) > 2 or not all(isinstance(end, int) for end in ends) or not 0 <= ends[0] <= ends[1] <= len(value):
        raise Invalid("error calling slice: index out of range")
    return value[ends[0] : ends[1]]


def length(value: Any) -> int:
    """Go's ``len``; text is counted in bytes."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict | list | tuple):
        return len(value)
    raise Invalid(f"error calling len: {show(value)} has no length")


def equal(first: Any, *others: Any) -> bool:
    """Go's ``eq``: the first equals one of the others, which must be of its kind."""
    if not others:
        raise Invalid("error calling eq: missing argument for comparison")
    return any(_kinds(first, other) and first == other for other in others)


def _less(first: Any, second: Any) -> bool:
    if not _kinds(first, second) or isinstance(first, bool):
        raise Invalid("error calling lt: incompatible types for comparison")
    return bool(first < second)


def _kinds(first: Any, second: Any) -> bool:
    """Whether two values can be compared; raise Invalid where Go would."""
    kinds = [
        "bool" if isinstance(v, bool) else "number" if isinstance(v, int | float) else type(v) for v in (first, second)
    ]
    if None in (first, second) or isinstance(first, Missing) or isinstance(second, Missing):
        return first is None and second is None
    if kinds[0] != kinds[1] or isinstance(first, dict | list | tuple):
        raise Invalid("error calling eq: incompatible types for comparison")
    return True


def printf(pattern: str, *values: Any) -> str:
    """Go's ``printf`` with the verbs v, s, q, d, x, f, t and %."""
    waiting = list(values)

    def put(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb == "%":
            return "%"
        if not waiting:
            return f"%!{verb}(MISSING)"
        value = waiting.pop(0)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if verb in "vst":
            text = show(value)
            text = text[: int(match["precision"])] if match["precision"] and verb == "s" else text
        elif verb == "q":
            text = json.dumps(show(value), ensure_ascii=False)
        elif verb == "d" and number:
            text = str(int(value))
        elif verb == "f" and number:
            text = f"{value:.{match['precision'] or 6}f}"
        elif verb == "x":
            text = f"{value:x}" if isinstance(value, int) else show(value).encode().hex()
        else:
            return f"%!{verb}({show(value)})"
        if "-" in match["flags"]:
            return text.ljust(int(match["width"] or 0))
        return text.rjust(int(match["width"] or 0), "0" if "0" in match["flags"] and number else " ")

    text = _VERB.sub(put, pattern)
    return text + (f"%!(EXTRA {', '.join(map(show, waiting))})" if waiting else "")


def pad(text: str, before: int, after: int) -> str:
    """Spaces around a text that is not empty."""
    return " " * before + text + " " * after if text else text


def _text(name: str, function: Callable[..., Any]) -> Function:
    """Wrap a function of texts, so that anything else is refused by name."""

    def checked(*values: Any) -> Any:
        try:
            return function(*values)
        except (TypeError, AttributeError, ValueError):
            raise Invalid(f"wrong arguments for {name}: {', '.join(map(show, values))}") from None

    return checked


def _title(text: str) -> str:
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), text)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


FUNCTIONS: Mapping[str, Function] = {
    "eq": equal,
    "ne": lambda first, second: not equal(first, second),
    "lt": _less,
    "le": lambda first, second: not _less(second, first),
    "gt": lambda first, second: _less(second, first),
    "ge": lambda first, second: not _less(first, second),
    "not": lambda value: not is_true(value),
    "len": length,
    "index": index,
    "slice": cut,
    "print": lambda *values: " ".join(map(show, values)),
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "printf": _text("printf", printf),
    "json": dump,
    "split": _text("split", _split),
    "join": _text("join", lambda values, separator: separator.join(map(show, values))),
    "title": _text("title", _title),
    "lower": _text("lower", lambda text: text.lower()),
    "upper": _text("upper", lambda text: text.upper()),
    "pad": _text("pad", pad),
    "truncate": _text("truncate", lambda text, most: text[:most]),
}
"""``and`` and ``or`` are not here: they look at their arguments one after the other."""

HEADER_FUNCTIONS: Mapping[str, Function] = {
    **FUNCTIONS,
    **{name: lambda text, *_: text for name in ("json", "split", "join", "title", "lower", "upper", "truncate")},
}
"""The same for the header of a table, whose texts are left as they are."""
