"""A terminal for tests: what progress paints, as a person would see it."""

from __future__ import annotations

import io
import os
import re


class Screen(io.StringIO):
    """A terminal that understands what we send: text, new lines, cursor up, erase to the end of line and of screen.

    Colours, and whether the cursor is seen, are taken and forgotten.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column, self.writes = [""], 0, 0, 0

    def write(self, text: str) -> int:
        self.writes += 1
        for piece in re.findall(r"\x1b\[\??\d*[A-Za-z]|\r|\n|[^\x1b\r\n]", text):
            if piece == "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif piece == "\r":
                self.column = 0
            elif piece.startswith("\x1b") and piece[-1] in "mhl":
                continue
            elif piece.startswith("\x1b"):
                self.obey(int(piece[2:-1] or 1), piece[-1])
            else:
                assert self.column < self.columns, "a line wrapped"
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + piece + line[self.column + 1 :]
                self.column += 1
        return len(text)

    def obey(self, count: int, letter: str) -> None:
        if letter == "A":
            assert count <= self.row, "the cursor left the screen"
            self.row -= count
        else:
            self.lines[self.row] = self.lines[self.row][: self.column]
            if letter == "J":
                del self.lines[self.row + 1 :]

    def size(self) -> os.terminal_size:
        return os.terminal_size((self.columns, self.rows))

    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]
