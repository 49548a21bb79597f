"""How a build that failed ends: the instruction with the lines around it, and the error, as docker shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.errors import BuildFailed

_RULE = "-" * 20
_AROUND, _AROUND_MANY = 2, 1
"""Lines of context on each side, for an instruction on one line and for one on several."""


def build_error(error: DockerfileInvalid | BuildFailed) -> str:
    """The text of an error of a build, an excerpt of the Dockerfile before it where that is known."""
    if isinstance(error, DockerfileInvalid):
        lines, end = list(error.lines), error.line
        if not lines and error.source and error.line:
            return _joined(_numbered(error.file, [(error.line, error.source, True)]), error)
    else:
        lines, end = list(error.lines), max(error.end_line, error.line)
    return _joined(excerpt(error.file, lines, error.line, end), error)


def excerpt(file: str, lines: Sequence[str], first: int, last: int) -> list[str]:
    """The lines from ``first`` to ``last``, marked, and some around; nothing where the file has no such lines."""
    if not 1 <= first <= len(lines):
        return []
    last = min(max(first, last), len(lines))
    around = _AROUND if first == last else _AROUND_MANY
    shown = range(max(first - around, 1), min(last + around, len(lines)) + 1)
    return _numbered(file, [(number, lines[number - 1], first <= number <= last) for number in shown], at=first)


def _numbered(file: str, lines: Sequence[tuple[int, str, bool]], at: int = 0) -> list[str]:
    body = [f" {number:3} | {'>>>' if is_meant else '   '} {text}" for number, text, is_meant in lines]
    return [f"{file}:{at or lines[0][0]}", _RULE, *body, _RULE]


def _joined(before: list[str], error: DockerfileInvalid | BuildFailed) -> str:
    return "\n".join([*before, f"ERROR: failed to build: failed to solve: {error.message}"])
