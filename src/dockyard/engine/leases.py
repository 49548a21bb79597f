"""Leases: what processes at work rely on, so that a removal leaves it alone.

A lease is a file of digests, one a line, locked for as long as its holder lives. The kernel drops the lock with the
process, whatever ends it: a lease whose lock can be taken is dead.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from dockyard.errors import DigestInvalid
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Lease:
    """One holder's lease, made with the first digest. Only the store's lock keeps it and removals in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._descriptor = -1
        self._held: set[Digest] = set()
        self._threads = Lock()

    def add(self, digests: Iterable[Digest]) -> None:
        """Hold these too. Only under the store's lock, shared at least: a removal holds it alone."""
        with self._threads:
            new = [digest for digest in digests if digest not in self._held]
            if not new:
                return
            if self._path is None:
                path = self._folder / os.urandom(8).hex()
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(path, flags, 0o600)
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                self._path = path
            # Not synced: it has to outlive nothing but other processes.
            os.write(self._descriptor, "".join(f"{digest}\n" for digest in new).encode())
            self._held.update(new)

    def close(self) -> None:
        """Let go of everything."""
        if self._path:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
        self._path, self._descriptor, self._held = None, -1, set()


def live(folder: Path) -> set[Digest]:
    """Digests in the leases of those who live; dead leases are removed. Only by who holds the store's lock alone."""
    found: set[Digest] = set()
    with suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with suppress(FileNotFoundError):
                descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    found |= _read(descriptor, file.path)
                finally:
                    os.close(descriptor)
    return found


def _read(descriptor: int, path: str) -> set[Digest]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with os.fdopen(os.dup(descriptor)) as lines:
            held: set[Digest] = set()
            for line in lines:
                with suppress(DigestInvalid):
                    held.add(Digest.parse(line.rstrip("\n")))
            return held
    os.unlink(path)
    return set()
