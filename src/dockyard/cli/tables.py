"""Columns of text, lined up as Go's tabwriter does it for docker's tables."""

from __future__ import annotations

from unicodedata import combining, east_asian_width

MINIMUM, PADDING = 10, 3


def align(text: str) -> str:
    """Replace the tabs of some lines by spaces, so that what stands between them forms columns.

    A column is as wide as its widest cell plus three, and at least ten. Lines without the column end it.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    _align(lines, 0, len(lines), 0)
    return "\n".join("".join(cells) for cells in lines)


def width(text: str) -> int:
    """Places that text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, places: int) -> str:
    """The beginning of a text, no wider than ``places``, of which there is one at least."""
    if text.isascii() and len(text) <= places:
        return text
    out, used = "", 0
    for char in text:
        used += width(char)
        if used > max(places, 1):
            break
        out += char
    return out


def _align(lines: list[list[str]], start: int, end: int, column: int) -> None:
    """Widen cell ``column`` of the lines from ``start`` to ``end``; a cell that no tab ends belongs to no column."""
    at = start
    while at < end:
        if len(lines[at]) < column + 2:
            at += 1
            continue
        last = at
        while last < end and len(lines[last]) >= column + 2:
            last += 1
        widths = [width(cells[column]) for cells in lines[at:last]]
        total = max(MINIMUM, max(widths) + PADDING)
        for cells, own in zip(lines[at:last], widths, strict=True):
            cells[column] += " " * (total - own)
        _align(lines, at, last, column + 1)
        at = last
