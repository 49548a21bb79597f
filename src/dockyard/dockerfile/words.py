"""Words of an instruction: at spaces, at spaces outside quotes, or from JSON. Quotes stay for who expands variables.

Source: docker's Dockerfile reference, "Shell and exec form", "ENV", "LABEL"; white space is what Unicode says it is.
"""

from __future__ import annotations

import difflib
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_BETWEEN = re.compile(r"[\t\v\f\r ]+")
_SHELL = re.compile(
    rf"""(?P<space>[{SPACE}]+)|'[^']*'|"(?:\\.|[^"\\])*+"|\\.|\$\{{[^}}]*\}}|[^{SPACE}'"\\$]+|(?P<open>['"]|\$\{{)|.""",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_SUGGESTED = 40


class NotStrings(ValueError):
    """A JSON array that holds something else than strings."""


def spaced(text: str) -> list[str]:
    """The words of ``text`` cut at white space alone: a quote does not keep two words together."""
    return [word for word in _BETWEEN.split(text) if word]


def quoted(text: str, escape: str) -> list[str]:
    """The words of ``text`` cut at white space outside quotes, with all quotes and escapes still in them.

    A quote that nobody closes reaches to the end. An escape character with nothing behind it is dropped.
    """
    return _word(escape).findall(text)


def shell_words(text: str) -> list[tuple[str, int]]:
    """The words of a shell's command line as written, each with its offset; none where a quote is not closed."""
    words: list[tuple[str, int]] = []
    start = -1
    for match in _SHELL.finditer(text):
        if match["open"]:
            return []
        if match["space"]:
            if start >= 0:
                words.append((text[start : match.start()], start))
            start = -1
        elif start < 0:
            start = match.start()
    if start >= 0:
        words.append((text[start:], start))
    return words


def json_words(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array, or ``None`` where ``text`` is not one; :class:`NotStrings` where they are not."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text, parse_constant=_refuse, parse_int=float)
    except RecursionError:
        raise NotStrings from None
    except ValueError:
        return None
    if not all(isinstance(word, str) for word in found):
        raise NotStrings
    return tuple(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", word) for word in found)


def is_json(text: str) -> bool:
    """Whether ``text`` is a JSON array, of whatever."""
    try:
        return json_words(text) is not None
    except NotStrings:
        return True


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The word of ``known`` that ``word`` was probably meant to be, or nothing."""
    if len(word) > _LONGEST_SUGGESTED:
        return ""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=cutoff)), "")


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON


@lru_cache
def _word(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    quotes = rf"""'[^']*+(?:'|\Z)|"(?:{mark}.|[^"{mark}]++)*+(?:"|\Z|(?={mark}\Z))"""
    return re.compile(rf"""(?:{quotes}|{mark}.|[^{SPACE}'"{mark}]++)++""", re.DOTALL)
