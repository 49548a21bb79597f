"""``WWW-Authenticate``: what a registry asks for before it answers.

Source: RFC 9110, section 11.6.1 (grammar); distribution's token authentication specification (Bearer parameters).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"\s*({_TOKEN})\s*=\s*({_QUOTED}|[^\s,\"]*)", re.ASCII)
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)", re.ASCII)
_SEPARATOR = re.compile(r"\s*,[\s,]*|\s+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove who asks: ``scheme`` and the keys of ``parameters`` are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read every challenge of the header's values, in order; what fits no grammar is passed over."""
    found: list[Challenge] = []
    for header in headers:
        found += _parse(header[:16384])
    return found


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        if found and (pair := _PARAMETER.match(text, position)):
            parameters.setdefault(pair[1].lower(), _unquoted(pair[2]))
            position = pair.end()
        elif scheme := _SCHEME.match(text, position):
            parameters = {}
            found.append(Challenge(scheme[1].lower(), parameters))
            position = scheme.end()
        else:
            position += 1
        if separator := _SEPARATOR.match(text, position):
            position = separator.end()
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
