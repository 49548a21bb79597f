"""Local commands start fast: what they import, and how long ``image ls`` takes with 100 images."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from images import LAYER, Layout, sha256
from servers import DOCKYARD, Machine

from dockyard.content import layout as oci_layout
from dockyard.content.copy import copy
from dockyard.engine.images import Images
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAVY = {
    "asyncio",
    "msgspec",
    "rich",
    "aiohttp",
    "sqlalchemy",
    "starlette",
    "granian",
    "structlog",
    "isal",
    "zstandard",
}
LIMIT = 0.1
"""Seconds that ``image ls`` may take with 100 images, the median of 15 cold starts."""


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with 100 images, each with a config of its own."""
    machine = Machine(tmp_path_factory.mktemp("hundred"))
    made = Layout(machine.folder / "made")
    layer = made.blob(b"\0" * 1024, LAYER)
    for number in range(100):
        config = {"Labels": {"number": str(number)}}
        made.name(made.image([layer], [sha256(b"\0" * 1024)], config=config), f"n{number}")

    async def fill() -> None:
        with Images(machine.root / "contexts" / "default", Platform("linux", "amd64")) as images:
            source = oci_layout.Layout(made.folder)
            for number in range(100):
                await copy(source, images, f"n{number}", to=f"docker.io/team/app{number}:v{number}")

    asyncio.run(fill())
    return machine


def imported(machine: Machine, words: Sequence[str]) -> set[str]:
    """The top-level modules that one command imports."""
    program = [sys.executable, "-X", "importtime", DOCKYARD, *words]
    done = subprocess.run(program, env=machine.env, capture_output=True, text=True, check=False)
    return {name.split(".")[0] for name in re.findall(r"^import time: .*\|\s+(\S+)$", done.stderr, re.MULTILINE)}


@pytest.mark.parametrize(
    "words",
    [
        ("image", "ls"), ("images", "-q"), ("images", "--format", "{{json .}}"), ("tag", "team/app1:v1", "again"),
        ("image", "inspect", "team/app1:v1"), ("history", "team/app1:v1"), ("rmi", "team/app2:v2"), ("context", "ls"),
        ("context", "show"), ("config", "get", "context"), ("--help",), ("image", "ls", "--help"), ("pull", "--help"),
        ("--version",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_local_command_imports_nothing_heavy(words: tuple[str, ...], hundred: Machine) -> None:
    assert hundred(*words).returncode == 0
    found = imported(hundred, words)

    assert "click" in found
    assert not found & HEAVY


@pytest.mark.alone
def test_a_list_of_100_images_is_there_in_a_tenth_of_a_second(hundred: Machine) -> None:
    times = []
    for _ in range(15):
        start = time.perf_counter()
        subprocess.run([DOCKYARD, "image", "ls"], env=hundred.env, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)

    assert len(hundred.ok("image", "ls").splitlines()) == 101
    assert statistics.median(times) <= LIMIT
