"""Layers of gigabytes go up and down, and no process grows with them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from images import LAYER, Layout
from servers import DOCKYARD
from wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psutil
    from servers import Hub, Machine

MEGABYTE = 1 << 20
MOST = 200 * MEGABYTE


def peak(process: psutil.Process) -> int:
    """The most memory that a process ever had, in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command, and writes what memory it had: a process begins with the peak of who starts it, and ours is high."""


def run_and_measure(machine: Machine, *arguments: str) -> int:
    """Run our command line, which has to succeed; return the most memory that it had, in bytes."""
    log, most = machine.folder / "output", machine.folder / "most"
    command = [sys.executable, "-S", "-c", MEASURE, most, DOCKYARD, *arguments]
    with log.open("wb") as output:
        code = subprocess.run(command, env=machine.env, stdout=output, stderr=output, check=False).returncode
    assert code == 0, log.read_text()
    return int(most.read_text()) * 1024


def sparse_layer(folder: Path, size: int) -> Path:
    """An image whose one layer is ``size`` bytes of zeros, which take no room on this disk."""
    layout = Layout(folder)
    member = tarfile.TarInfo("zeros")
    member.size = size
    with (folder / "layer.tar").open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + -(-size // 512) * 512 + 1024)
    layer = layout.blob(folder / "layer.tar", LAYER)
    layout.name(layout.image([layer], [layer["digest"]]))
    return folder


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_push_and_a_pull_of_gigabytes_stay_under_200_mib(
    start_hub: Callable[..., Hub], dockyard: Machine, tmp_path: Path, soak: Callable[[int, int], int]
) -> None:
    size = soak(4096, 10_240) * MEGABYTE
    hub, layout = start_hub(), Layout(sparse_layer(tmp_path / "made", size))
    name = f"docker://{hub.host}/flat/memory:latest"
    pushed = run_and_measure(dockyard, "copy", f"oci:{layout.folder}:latest", name)
    pulled = run_and_measure(dockyard, "copy", name, f"oci:{tmp_path / 'pulled'}:latest")
    digest = next(digest for digest, media_type in layout.reachable().items() if media_type == LAYER)
    with Wire(hub.host, timeout=600) as wire:
        # In pieces, which go another way through the hub than whole blobs.
        path = f"/v2/flat/memory/blobs/{digest}"
        for start in range(0, size, 512 * MEGABYTE):
            assert wire.hash(path, {"Range": f"bytes={start}-{start + 64 * MEGABYTE - 1}"})[0] == 206

    assert pushed < MOST
    assert pulled < MOST
    assert {process.pid: peak(process) for process in hub.workers() if peak(process) >= MOST} == {}
    assert (tmp_path / "pulled/blobs/sha256" / digest.partition(":")[2]).stat().st_size > size
