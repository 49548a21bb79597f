"""Patterns for paths: ``*``, ``?`` and ``[a-z]`` as Go's ``filepath.Match`` has them, and docker's ``**``.

Source: docker's documentation of ``.dockerignore``; the package moby/patternmatcher for what ``**`` means in places
that the documentation leaves open: it stands for any number of folders, at the end for everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS, _REST, _STAR, _ANY = "**/", "**", "*", "?"
_CLASS_ITEM = r"(\\.|[^\]\\-])(?:-(\\.|[^\]\\-]))?"
_CLASS = re.compile(rf"\[(\^?)((?:{_CLASS_ITEM})+)\]", re.DOTALL)
_ITEM = re.compile(_CLASS_ITEM, re.DOTALL)

# With more stars than these, a regular expression may take longer than anybody waits.
_MOST_STARS = 2


def match(pattern: str, path: str) -> bool:
    """Whether a pattern means the whole of a path. Raise :class:`Invalid` where it is malformed."""
    return compile_pattern(pattern).matches(path)


def has_wildcard(text: str) -> bool:
    """Whether a source of COPY is a pattern, not a name."""
    return bool(re.search(r"[*?\[]", re.sub(r"\\.", "", text, flags=re.DOTALL)))


@lru_cache(1024)
def compile_pattern(text: str) -> Pattern:
    """Read a pattern; raise :class:`Invalid` where it is malformed."""
    tokens = tuple(_tokens(text))
    stars = sum(token.kind in (_FOLDERS, _REST, _STAR) for token in tokens)
    whole = "".join(token.expression.pattern for token in tokens)
    return Pattern(text, tokens, re.compile(whole, re.DOTALL) if stars <= _MOST_STARS else None)


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of a pattern: a wildcard by its name, or a text or a class of letters as a regular expression."""

    kind: str
    text: str
    expression: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is well-formed; ``expression`` is one for the whole of it, where that is quick for every path."""

    text: str
    tokens: tuple[_Token, ...] = field(repr=False)
    expression: re.Pattern[str] | None = field(repr=False)

    def matches(self, path: str) -> bool:
        """Whether the pattern means the whole of ``path``."""
        return self.expression.fullmatch(path) is not None if self.expression else self._follow(path)

    def _follow(self, path: str) -> bool:
        """The same without a regular expression for the whole: all positions at once, token by token."""
        positions = {0}
        for token in self.tokens:
            if token.kind == _REST:
                positions = set(range(min(positions), len(path) + 1))
            elif token.kind == _FOLDERS:
                first = min(positions)
                positions |= {index + 1 for index in range(first, len(path)) if path[index] == "/"}
            elif token.kind == _STAR:
                positions = set(_spread(positions, path))
            else:
                found = (token.expression.match(path, position) for position in positions)
                positions = {hit.end() for hit in found if hit}
            if not positions:
                return False
        return len(path) in positions


def _spread(positions: set[int], path: str) -> Iterator[int]:
    """Each position, and those that follow up to the next slash."""
    done = -1
    for position in sorted(positions):
        if position > done:
            end = path.find("/", position)
            done = len(path) if end < 0 else end
            yield from range(position, done + 1)


def _token(kind: str, text: str, expression: str) -> _Token:
    return _Token(kind, text, re.compile(expression, re.DOTALL))


def _tokens(pattern: str) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            # **.log is everything that ends so, also in folders; with another wildcard in it, it is not.
            ending = at == 2 and not re.search(r"^/|[*?\[\]\\]", pattern[2:])
            at += pattern.startswith("/", at)
            if ending or at == len(pattern):
                yield _token(_REST, "**", ".*")
            else:
                yield _token(_FOLDERS, "**/", "(?:.*/)?")
            continue
        if char == "*":
            yield _token(_STAR, "*", "[^/]*")
            at += 1
        elif char == "?":
            yield _token(_ANY, "?", "[^/]")
            at += 1
        elif char == "[":
            found = _CLASS.match(pattern, at)
            if not found:
                raise _malformed(pattern)
            yield _token("[", found[0], _class(pattern, found[1], found[2]))
            at = found.end()
        else:
            found = re.compile(r"(?:\\.|[^*?\[\\])+", re.DOTALL).match(pattern, at)
            if not found:
                raise _malformed(pattern)
            text = re.sub(r"\\(.)", r"\1", found[0], flags=re.DOTALL)
            yield _token("", text, re.escape(text))
            at = found.end()


def _class(pattern: str, negated: str, inside: str) -> str:
    ranges = ""
    for low, high in _ITEM.findall(inside):
        low, high = low[-1], (high or low)[-1]
        if low > high:
            raise _malformed(pattern)
        ranges += f"{re.escape(low)}-{re.escape(high)}"
    return f"[{negated}{ranges}]"


def _malformed(pattern: str) -> Invalid:
    return Invalid(f"syntax error in pattern {pattern!r}")
