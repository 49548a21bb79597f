"""Local commands start fast: what they import, and what ``image ls`` reads with 100 images."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
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


def test_a_list_of_100_images_reads_each_config_once_at_most(hundred: Machine) -> None:
    """How long it takes is in the benchmarks; what takes long is reading, and the second time nothing is read."""
    hundred.ok("image", "ls")
    trace = hundred.folder / "trace"
    program = ["strace", "-f", "-e", "trace=openat,open", "-o", str(trace), DOCKYARD, "image", "ls"]
    listed = subprocess.run(program, env=hundred.env, capture_output=True, text=True, check=True)
    opened = [line for line in trace.read_text().splitlines() if "/blobs/" in line and "ENOENT" not in line]

    assert len(listed.stdout.splitlines()) == 101
    assert not opened
