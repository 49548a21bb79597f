"""What only stories need: small disks, and the sizes that ``make soak`` raises."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from servers import as_root, must

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOAK = bool(os.environ.get("SOAK"))


@pytest.fixture
def soak() -> Callable[[int, int], int]:
    """``soak(usual, long)``: a size, raised in ``make soak``."""
    return lambda usual, long: long if SOAK else usual


class Disk:
    """A file system of its own with little room."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir()
        owner = f"uid={os.geteuid()},gid={os.getegid()},mode=755"
        must(*as_root("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{owner}", "tmpfs", str(path)))

    def resize(self, megabytes: int) -> None:
        must(*as_root("mount", "-o", f"remount,size={megabytes}m", str(self.path)))

    def used(self) -> int:
        """Bytes."""
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """``small_disk(megabytes)``: a tmpfs of that size, unmounted with the test."""
    disks: list[Disk] = []

    def make(megabytes: int) -> Disk:
        disks.append(Disk(tmp_path / f"disk{len(disks)}", megabytes))
        return disks[-1]

    yield make
    for disk in disks:
        must(*as_root("umount", "--lazy", str(disk.path)))
