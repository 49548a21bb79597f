"""Variables, quotes and escapes in the words of an instruction, as docker reads them.

Source: docker's Dockerfile reference, section "Environment replacement"; POSIX.1-2017, sections 2.6.2 and 2.13 of
the shell command language, for what the modifiers mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.dockerfile.substitution import remove_prefix, remove_suffix, replace_matches
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is longer can't be given to a program, and a few lines that name each other would fill the memory.
MOST_GROWTH = 1024 * 1024
_MOST_DEPTH = 50
_SPECIAL = frozenset("@*#?-$!")


def expand(
    text: str, variables: Mapping[str, str], *, escape: str = "\\", quotes: bool = True, keep: bool = False
) -> str:
    """Return ``text`` with its variables replaced, quotes and escapes taken away. Raise :class:`Invalid`.

    Without ``quotes`` they are letters like others, as in here-documents. ``keep`` is for showing a command: quotes
    stay, and so do variables that are not set.
    """
    return "".join(piece for piece, _ in _Reader(text, variables, escape, quotes, keep).whole())


def expand_words(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> list[str]:
    """Return the words that ``text`` becomes: a variable with blanks in it gives several, what is quoted does not."""
    words, word = [], ""
    for piece, divides in _Reader(text, variables, escape, True, False).whole():
        for char in piece:
            if not (divides and char.isspace()):
                word += char
            elif word:
                words.append(word)
                word = ""
    return [*words, word] if word else words


class _Reader:
    """One text while it is read. Pieces say whether blanks in them divide words."""

    def __init__(self, text: str, variables: Mapping[str, str], escape: str, quotes: bool, keep: bool) -> None:
        self._text, self._variables, self._escape = text, variables, escape
        self._quotes, self._keep = quotes, keep
        self._at = self._depth = 0
        self._left = MOST_GROWTH

    def whole(self) -> list[tuple[str, bool]]:
        try:
            return self._pieces("", raw=False)
        except Invalid as error:
            shown = self._text if len(self._text) <= 160 else self._text[:157] + "..."
            raise Invalid(f'failed to process "{shown}": {error.message}') from None

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += len(char)
        return char

    def _pieces(self, stop: str, *, raw: bool) -> list[tuple[str, bool]]:
        """Read up to ``stop``, or to the end where it is empty. With ``raw``, escapes are for a pattern: they stay."""
        out: list[tuple[str, bool]] = []
        while char := self._peek():
            if char == stop:
                self._at += 1
                return out
            if char == "$":
                out.append((self._variable(), True))
            elif char == "'" and self._quotes:
                out.append((self._single_quoted(), False))
            elif char == '"' and self._quotes:
                out.append((self._double_quoted(), False))
            elif self._next() != self._escape:
                out.append((char, True))
            else:
                # An escape at the end means nothing.
                out.append(((char if raw else "") + self._next(), False))
        if stop:
            raise Invalid(f"syntax error: missing '{stop}'")
        return out

    def _inner(self, stop: str, *, raw: bool) -> str:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise Invalid(f"variables are nested more than {_MOST_DEPTH} deep")
        text = "".join(piece for piece, _ in self._pieces(stop, raw=raw))
        self._depth -= 1
        return text

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise Invalid("unexpected end of statement while looking for matching single-quote")
        begin, self._at = self._at, end + 1
        return self._text[begin : self._at] if self._keep else self._text[begin + 1 : end]

    def _double_quoted(self) -> str:
        out = quote = self._next() if self._keep else self._next()[:0]
        while char := self._peek():
            if char == "$":
                out += self._variable()
                continue
            self._at += 1
            if char == '"':
                return out + quote
            if char == self._escape and self._peek() in ('"', "$", self._escape):
                char = self._next()
            out += char
        raise Invalid("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        """What stands for the variable that begins here, with its modifier."""
        begin = self._at
        self._at += 1
        if self._peek() == "{":
            self._at += 1
            value = self._braced()
        elif name := self._name():
            value = self._variables.get(name)
        else:
            return "$"
        if value is None:
            return self._text[begin : self._at] if self._keep else ""
        self._left -= len(value)
        if self._left < 0:
            raise Invalid(f"the variables in it are over {MOST_GROWTH} characters long")
        return value

    def _name(self) -> str:
        begin, first = self._at, self._peek()
        if first in _SPECIAL:
            return self._next()
        number = first.isdecimal()
        while (char := self._peek()) and (char.isdecimal() or (not number and (char == "_" or char.isalpha()))):
            self._at += 1
        return self._text[begin : self._at]

    def _braced(self) -> str | None:
        """What is between the braces; ``None`` where that is nothing because the variable is not set."""
        if self._peek() in ("{", "}", ":"):
            raise Invalid("syntax error: bad substitution")
        name = self._name()
        value = self._variables.get(name)
        modifier = self._next()
        if modifier == "}":
            return value
        if not modifier:
            raise Invalid("syntax error: missing '}'")
        if modifier == "/":
            return self._replaced(value)
        colon = modifier == ":"
        sign = self._next() if colon else modifier
        if sign not in tuple("-+?#%"):
            raise Invalid(f"unsupported modifier ({modifier + sign if colon else modifier}) in substitution")
        word = self._inner("}", raw=sign in "#%")
        return self._modified(name, value, sign, word, colon)

    def _modified(self, name: str, value: str | None, sign: str, word: str, colon: bool) -> str | None:
        missing = value is None or (colon and not value)
        if sign == "-":
            return (None if self._keep and value is None else word) if missing else value
        if sign == "+":
            return (value and "") if missing else word
        if sign == "?":
            if missing and not (self._keep and value is None):
                reason = word or f"is not allowed to be {'unset' if value is None else 'empty'}"
                raise Invalid(f"{name}: {reason}")
            return value
        if value is None:
            return None
        longest = word.startswith(sign)
        remove = remove_prefix if sign == "#" else remove_suffix
        return remove(word[longest:], value, longest=longest)

    def _replaced(self, value: str | None) -> str | None:
        every = self._peek() == "/"
        self._at += every
        pattern = self._inner("/", raw=True)
        replacement = self._inner("}", raw=True)
        return None if value is None else replace_matches(pattern, value, replacement, every=every, most=MOST_GROWTH)
