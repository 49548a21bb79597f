"""Patterns for names, as Go's ``path.Match`` has them: ``*``, ``?`` and ``[a-z]``, none of which match ``/``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from dockyard.errors import Invalid
from dockyard.oci.reference import DOCKER_HUB, familiar

if TYPE_CHECKING:
    from dockyard.oci.reference import Reference


def matches(pattern: str, reference: Reference, default_registry: str) -> bool:
    """Whether a pattern means a name, in its short form or with its registry, with tag or digest or without. Invalid.

    Stars alone don't match a registry that is not shown: ``*/*`` means what looks so in the list.
    """
    expression = compiled(pattern)
    forms = {str(reference), reference.name} if pattern.startswith(f"{reference.registry}/") else set()
    for registry in (default_registry, DOCKER_HUB):
        short = familiar(reference, default_registry=registry)
        forms |= {short, short.partition("@")[0].removesuffix(f":{reference.tag}")}
    return any(expression.fullmatch(form) for form in forms)


@lru_cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression; raise Invalid where it is malformed."""
    out, rest = "", pattern
    while rest:
        char, rest = rest[0], rest[1:]
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "\\" and rest:
            out, rest = out + re.escape(rest[0]), rest[1:]
        elif char == "[":
            part, rest = _class(pattern, rest)
            out += part
        elif char == "\\":
            raise _malformed(pattern)
        else:
            out += re.escape(char)
    return re.compile(out, re.DOTALL)


def _class(pattern: str, rest: str) -> tuple[str, str]:
    match = re.match(r"(\^?)((?:\\.|[^\]\\-])(?:-(?:\\.|[^\]\\-]))?)+\]", rest, re.DOTALL)
    if not match:
        raise _malformed(pattern)
    inside = match[0][len(match[1]) : -1]
    ranges = re.findall(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", inside, re.DOTALL)
    text = ""
    for low, high in ranges:
        low, high = low[-1], (high or low)[-1]
        if low > high:
            raise _malformed(pattern)
        text += f"{re.escape(low)}-{re.escape(high)}"
    return f"(?!/)[{match[1]}{text}]", rest[match.end() :]


def _malformed(pattern: str) -> Invalid:
    return Invalid(f"invalid reference pattern {pattern!r}: syntax error in pattern")
