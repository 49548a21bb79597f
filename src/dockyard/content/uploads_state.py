"""Unfinished uploads, remembered so that this process or a later one goes on where the bytes stopped."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dockyard.oci.digest import Digest

WORTH_KEEPING = 4 * 1024 * 1024
"""Bytes of a blob from which its upload is kept on disk: a smaller one is sent again sooner than asked about."""


class UploadSessions:
    """The open uploads of any registries, in memory and, with a ``folder``, as one small file each.

    An upload belongs to one writer at a time, across all processes: its file stays locked while bytes are on their
    way. A file that can't be read, and an upload that the registry has forgotten, cost a start from zero, no more.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.known: dict[str, str] = {}
        self._claimed: set[str] = set()

    @contextlib.contextmanager
    def claim(self, registry: str, repository: str, digest: Digest, *, size: int) -> Iterator[Claim]:
        """Become the one writer of a blob of ``size`` bytes; somebody who is second gets an upload nobody remembers."""
        key = hashlib.sha256(f"{registry}\n{repository}\n{digest}".encode()).hexdigest()
        if key in self._claimed:
            yield Claim({}, key)
            return
        self._claimed.add(key)
        try:
            path = self.folder / f"{key}.json" if self.folder and size >= WORTH_KEEPING else None
            descriptor = _lock(path) if path else None
            if path and descriptor is None:  # another process
                yield Claim({}, key)
                return
            try:
                yield Claim(self.known, key, descriptor)
            finally:
                if path and descriptor is not None:
                    if key not in self.known:
                        with contextlib.suppress(OSError):
                            os.unlink(path)
                    os.close(descriptor)
        finally:
            self._claimed.discard(key)


class Claim:
    """The right to one blob's upload. ``location`` is secret: who knows it can write there."""

    def __init__(self, known: dict[str, str], key: str, descriptor: int | None = None) -> None:
        self._known, self._key, self._descriptor = known, key, descriptor
        if key not in known and descriptor is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                location = json.loads(os.pread(descriptor, 65536, 0))["location"]
                if isinstance(location, str):
                    known[key] = location

    @property
    def location(self) -> str:
        """Where the registry takes the rest, or ``""`` where no upload is open."""
        return self._known.get(self._key, "")

    def keep(self, location: str) -> None:
        """Remember where to go on."""
        self._known[self._key] = location
        if self._descriptor is not None:
            # Not synced, and torn by a crash at worst: an upload from the start is all that is lost then.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps({"location": location}).encode(), 0)

    def drop(self) -> None:
        """Forget it: it is complete, or nothing can come of it."""
        self._known.pop(self._key, None)


def _lock(path: Path) -> int | None:
    """Open and lock a file that its owner may unlink; ``None`` where somebody else has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was unlinked before we had the lock
