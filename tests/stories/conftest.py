"""What only stories need: small disks, another machine's network, and the sizes that ``make soak`` raises."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from servers import Hub, as_root, must
from stories.people import People, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOAK = bool(os.environ.get("SOAK"))


@pytest.fixture
def soak() -> Callable[[int, int], int]:
    """``soak(usual, long)``: a size, raised in ``make soak``."""
    return lambda usual, long: long if SOAK else usual


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A hub with somebody in every role, shared by all stories of the session: take names nobody else takes."""
    folder = tmp_path_factory.mktemp("people")
    hub = Hub(folder / "data", auth="accounts")
    try:
        yield gather(hub, folder)
    finally:
        assert hub.stop() == 0


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


class Network:
    """A network namespace, which is another machine for what is about addresses, with a cable to this one.

    ``here`` and ``there`` are the addresses of the cable's two ends. Needs root.
    """

    def __init__(self) -> None:
        number = random.randrange(1, 250 * 64)
        part, last = f"10.213.{number // 64}", number % 64 * 4
        self.name = f"dockyard-{number}"
        self.here, self.there = f"{part}.{last + 1}", f"{part}.{last + 2}"
        ours, theirs = f"dya{number}", f"dyb{number}"
        for line in (
            f"netns add {self.name}",
            f"link add {ours} type veth peer name {theirs} netns {self.name}",
            f"addr add {self.here}/30 dev {ours}",
            f"link set {ours} up",
            f"-n {self.name} addr add {self.there}/30 dev {theirs}",
            f"-n {self.name} link set {theirs} up",
            f"-n {self.name} link set lo up",
        ):
            must(*as_root("ip", *line.split()))
        # Not `ip netns exec`, which mounts a /sys without cgroups, and dockerd wants those.
        self.enter = ("nsenter", f"--net=/run/netns/{self.name}")

    def inside(self, *command: str | Path) -> list[str]:
        """The command line that runs ``command`` there."""
        return as_root(*self.enter, *map(str, command))

    def close(self) -> None:
        """Remove the namespace, and with it the cable."""
        must(*as_root("ip", "netns", "delete", self.name))


@pytest.fixture
def network() -> Iterator[Network]:
    """A network that is not this machine's: ``network.inside(…)`` runs there, ``network.here`` is where we are."""
    made = Network()
    yield made
    made.close()
