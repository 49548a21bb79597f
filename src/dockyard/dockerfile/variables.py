"""Which variables a text uses, without expanding it.

Source: docker's Dockerfile reference, "Environment replacement".
"""

from __future__ import annotations

import re
from functools import lru_cache


def used_variables(text: str, *, escape: str = "\\") -> tuple[str, ...]:
    """The variables that ``text`` needs to be set, in order.

    Left out are those in single quotes, behind an escape, and those that say what to take when they are unset.
    """
    found: list[str] = []
    in_quotes, position = False, 0
    while match := _pattern(escape).search(text, position):
        position = match.end()
        if match[0] == '"':
            in_quotes = not in_quotes
        elif match[0] == "'" and not in_quotes:
            position = text.find("'", position) + 1 or len(text)
        elif name := match[1] or match[2]:
            found.append(name)
    return tuple(found)


def is_constant(text: str) -> bool:
    """Whether no variable stands in ``text``."""
    return "$" not in text


@lru_cache
def _pattern(escape: str) -> re.Pattern[str]:
    name = "[A-Za-z_][A-Za-z0-9_]*+"
    return re.compile(rf"""{re.escape(escape)}.|['"]|\$({name})|\$\{{({name})(?=[}}#%/])""", re.DOTALL)
