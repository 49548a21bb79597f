"""What commands of a build print, made safe for whoever reads it: whole lines, without what drives a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockyard.cli.failures import plain

LONGEST = 64 * 1024
"""Bytes of a line after which it is cut: a program may never end its line."""

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI, ECMA-48 section 5.4
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_RESETS = ("", "\x1b[m", "\x1b[0m")


class LineCutter:
    """Bytes as they come, and from them lines. What follows the last newline waits, ``LONGEST`` bytes at most."""

    def __init__(self) -> None:
        self._rest = b""
        self._since = 0.0

    def feed(self, data: bytes, time: float) -> Iterator[tuple[float, str]]:
        """Yield each line that is whole now, with the time when it began."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            yield (self._since if self._rest else time), _seen(self._rest + piece)
            self._rest = b""
        while len(self._rest) + len(rest) > LONGEST:
            room = LONGEST - len(self._rest)
            yield (self._since if self._rest else time), _seen(self._rest + rest[:room])
            self._rest, rest = b"", rest[room:]
        if rest:
            self._since = self._since if self._rest else time
            self._rest += rest

    def end(self) -> Iterator[tuple[float, str]]:
        """Yield the line that no newline ended, where there is one."""
        if self._rest:
            yield self._since, _seen(self._rest)
        self._rest = b""


def coloured(text: str) -> str:
    """A line that keeps its colours, and they end with it; all else that would drive a terminal is gone or shown."""
    if text.isascii() and text.isprintable():
        return text
    parts, at, colour = [], 0, ""
    for found in _SEQUENCE.finditer(text):
        parts.append(_shown(text[at : found.start()]))
        if _COLOUR.fullmatch(found[0]):
            colour = found[0]
            parts.append(colour)
        at = found.end()
    return "".join((*parts, _shown(text[at:]), "" if colour in _RESETS else _RESETS[-1]))


def uncoloured(text: str) -> str:
    """A line of plain text: no sequences, other control characters shown."""
    return text if text.isascii() and text.isprintable() else _shown(_SEQUENCE.sub("", text))


def _shown(text: str) -> str:
    return "\t".join(plain(part) for part in text.split("\t"))


def _seen(line: bytes) -> str:
    """The line as a terminal would have left it: what follows the last carriage return."""
    text = line.decode(errors="replace").rstrip("\r")
    return text[text.rfind("\r") + 1 :]
