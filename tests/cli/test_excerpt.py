"""The lines of a Dockerfile that an error of a build shows."""

from __future__ import annotations

import pytest

from dockyard.cli.excerpt import build_error, excerpt
from dockyard.errors import BuildFailed, DockerfileInvalid

LINES = tuple(f"RUN {number}" for number in range(1, 10))


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [(1, 1, range(1, 4)), (5, 5, range(3, 8)), (9, 9, range(7, 10)), (3, 5, range(2, 7)), (8, 9, range(7, 10))],
)
def test_an_instruction_is_shown_with_lines_around(first: int, last: int, shown: range) -> None:
    marks = {number: ">>>" if first <= number <= last else "   " for number in shown}

    assert excerpt("Dockerfile", LINES, first, last) == [
        f"Dockerfile:{first}", "-" * 20, *(f"   {n} | {marks[n]} RUN {n}" for n in shown), "-" * 20,
    ]  # fmt: skip


@pytest.mark.parametrize(("first", "last"), [(0, 0), (10, 10), (-1, 3)])
def test_a_line_that_the_file_does_not_have_is_not_shown(first: int, last: int) -> None:
    assert excerpt("Dockerfile", LINES, first, last) == []


def test_a_file_of_one_line_is_shown_whole() -> None:
    assert excerpt("Dockerfile", ["FORM x"], 1, 1)[2:-1] == ["   1 | >>> FORM x"]


def test_a_command_that_failed_is_shown_where_it_stands() -> None:
    error = BuildFailed('process "/bin/sh -c false" did not complete successfully: exit code: 1', exit_code=1)
    error.file, error.line, error.end_line, error.lines = "Dockerfile", 2, 2, ("FROM scratch", "RUN false")

    assert build_error(error) == (
        "Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> RUN false\n--------------------\n"
        f"ERROR: failed to build: failed to solve: {error.message}"
    )


def test_an_error_without_a_place_is_said_alone() -> None:
    assert build_error(BuildFailed("no layers left")) == "ERROR: failed to build: failed to solve: no layers left"


def test_a_line_that_can_not_be_read_is_shown_also_without_the_rest_of_the_file() -> None:
    error = DockerfileInvalid("unknown instruction: FORM", line=3, source="FORM x", hint="Did you mean FROM?")

    assert build_error(error) == (
        "Dockerfile:3\n--------------------\n   3 | >>> FORM x\n--------------------\n"
        "ERROR: failed to build: failed to solve: Dockerfile:3:1: unknown instruction: FORM"
    )
