"""An instruction's line taken apart: its keyword, the flags before the first argument, and the arguments.

Source: docker's Dockerfile reference; flags lose their quotes and backslashes here, arguments keep theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockyard.dockerfile.words import SPACE

_BETWEEN = re.compile(r"[\t\v\f\r ]+")
_FLAG = re.compile(
    rf"""(--(?:'(?:\\.|[^'\\])*+(?:'|\\?\Z)|"(?:\\.|[^"\\])*+(?:"|\\?\Z)|\\(?:.|\Z)|[^{SPACE}'"\\]++)*+)[{SPACE}]*""",
    re.DOTALL,
)
_PLAIN = re.compile(r"""'((?:\\.|[^'\\])*+)(?:'|\\?\Z)|"((?:\\.|[^"\\])*+)(?:"|\\?\Z)|(\\.|[^'"\\]+)|\\\Z""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Head:
    """A line taken apart. ``flags`` have their offsets; ``args`` is the rest, from offset ``args_at``."""

    word: str
    word_at: int
    flags: tuple[tuple[str, int], ...]
    args: str
    args_at: int

    @property
    def keyword(self) -> str:
        """The instruction's word in upper case."""
        return self.word.upper()


def take_apart(text: str, at: int = 0) -> Head:
    """Take apart what ``text`` says from offset ``at``. A word of two dashes alone ends the flags."""
    word_at = len(text) - len(text[at:].lstrip(SPACE))
    word = _BETWEEN.split(text[word_at:], maxsplit=1)[0]
    position = len(text) - len(text[word_at + len(word) :].lstrip(SPACE))
    flags: list[tuple[str, int]] = []
    while match := _FLAG.match(text, position):
        position = match.end()
        flag = "".join(_unquoted(match[1]))
        if flag == "--":
            break
        flags.append((flag, match.start()))
    return Head(word, word_at, tuple(flags), text[position:].strip(SPACE), position)


def _unquoted(text: str) -> list[str]:
    return [_ESCAPED.sub(r"\1", match[1] or match[2] or match[3] or "") for match in _PLAIN.finditer(text)]
