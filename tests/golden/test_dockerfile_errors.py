"""What is said of each mistake in a Dockerfile; a case is a folder with the file and the message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dockyard.dockerfile.parser import parse
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "dockerfile_errors"
CASES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("case", CASES)
def test_an_error_is_as_it_was_read_and_found_good(case: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(DockerfileInvalid) as caught:
        parse((FOLDER / case / "Dockerfile").read_bytes().decode())

    error = caught.value
    shown = [error.message]
    if error.line:
        shown += [f"  {error.source}", " " * (error.column + 1) + "^"]
    if error.hint:
        shown.append(f"hint: {error.hint}")
    golden(f"dockerfile_errors/{case}/error.txt", "".join(f"{line}\n" for line in shown))


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 60
