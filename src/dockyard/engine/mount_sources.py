"""The mounts of a RUN as the launching process wants them: where each comes from, and what is missing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from dockyard.content.folders import make_folder, storage_errors
from dockyard.engine import host
from dockyard.engine.launch_plan import PlannedMount
from dockyard.engine.snapshots import Stack, disk_size
from dockyard.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dockyard.dockerfile.steps import Mount, Origin

_TURN = 0.05  # seconds between two looks at a cache that somebody else has


class MountSources(Protocol):
    """Where a RUN's mounts find the files of contexts, stages and images."""

    def find(self, origin: Origin) -> Path | Stack:
        """A folder of the machine, or unpacked layers."""
        ...


def plan_tree(mount: Mount, sources: MountSources) -> PlannedMount:
    """A bind mount, or what a cache begins with."""
    found = Stack() if mount.origin is None else sources.find(mount.origin)
    planned = PlannedMount("bind", mount.target, source=mount.source, readonly=mount.readonly)
    if isinstance(found, Stack):
        return replace(planned, lowers=tuple(str(path) for path in found.lowers))
    return replace(planned, host=str(found))


def plan_secret(mount: Mount, secrets: Mapping[str, bytes]) -> tuple[PlannedMount | None, dict[str, str]]:
    """A secret as a file, as a variable, or both; nothing where it may be missing and is. BuildFailed."""
    value = secrets.get(mount.id)
    if value is None:
        if mount.required:
            raise BuildFailed(f"secret {mount.id}: not found", hint=f"Give it with --secret id={mount.id},src=FILE.")
        return None, {}
    env = {mount.env: value.decode(errors="surrogateescape")} if mount.env else {}
    if not mount.target:
        return None, env
    mode = 0o400 if mount.mode is None else mount.mode
    return PlannedMount("file", mount.target, content=value, mode=mode, uid=mount.uid or 0, gid=mount.gid or 0), env


def find_agent(mount: Mount, sockets: Mapping[str, str]) -> str:
    """The path of an agent's socket; nothing where it may be missing and is. BuildFailed."""
    name = mount.id or "default"
    if name not in sockets:
        if mount.required:
            raise BuildFailed(f'no SSH key "{name}" forwarded from the client', hint=f"Give it with --ssh {name}.")
        return ""
    return sockets[name]


class CacheMounts:
    """The folders of ``--mount=type=cache``, as one command holds them.

    ::

        STORE/cache-mounts/<sha256>[.<n>]/data   what is kept; <sha256>: of the ID and what it begins with
        STORE/cache-mounts/<sha256>[.<n>]/lock   held by who uses it: shared, or alone
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, Path] = {}

    @contextmanager
    def hold(
        self, mount: Mount, seed: PlannedMount | None, canceled: Callable[[], bool] = lambda: False
    ) -> Iterator[PlannedMount]:
        """Hold a cache as its ``sharing`` asks; wait for one that is ``locked``. BuildFailed where that is canceled."""
        wanted = {
            "id": os.path.normpath(f"/{mount.id or mount.target}"), "mode": mount.mode, "uid": mount.uid,
            "gid": mount.gid, "seed": None if seed is None else [seed.host, *seed.lowers, seed.source],
        }  # fmt: skip
        name = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        with storage_errors(self.folder):
            make_folder(self.folder)
        with self._locked(name, mount.sharing, canceled) as path:
            planned = PlannedMount(
                "cache", mount.target, cache=str(path), readonly=mount.readonly,
                mode=0o755 if mount.mode is None else mount.mode, uid=mount.uid or 0, gid=mount.gid or 0,
            )  # fmt: skip
            if seed is not None:
                planned = replace(planned, seeded=True, host=seed.host, lowers=seed.lowers, source=seed.source)
            yield planned

    def sizes(self) -> dict[str, int]:
        """Every cache with its bytes on disk."""
        return {path.name: disk_size(path) for path in self._all()}

    def remove_unused(self) -> int:
        """Remove the caches that nobody uses now; bytes that are freed."""
        freed = 0
        for path in self._all():
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                gone = self.folder / f"gone-{os.urandom(8).hex()}"
                freed += disk_size(path)
                path.rename(gone)
            os.close(descriptor)
        for gone in self.folder.glob("gone-*"):
            host.remove_tree(gone)
        return freed

    def _all(self) -> list[Path]:
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return [path for path in found if not path.name.startswith("gone-")]

    @contextmanager
    def _locked(self, name: str, sharing: str, canceled: Callable[[], bool]) -> Iterator[Path]:
        # One command may mount a cache twice: it would wait for itself.
        if name in self._held:
            yield self._held[name]
            return
        path, descriptor = self._take(name, sharing, canceled)
        self._held[name] = path
        try:
            yield path
        finally:
            del self._held[name]
            os.close(descriptor)

    def _take(self, name: str, sharing: str, canceled: Callable[[], bool]) -> tuple[Path, int]:
        kind = fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX
        number = 0
        while True:
            # A private cache that is in use gets a sister; the others wait.
            path = self.folder / (f"{name}.{number}" if number else name)
            with storage_errors(self.folder):
                make_folder(path)
                descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), os.stat(path / "lock")):
                        return path, descriptor
                os.close(descriptor)  # it was removed meanwhile
                continue
            os.close(descriptor)
            if sharing == "private":
                number += 1
                continue
            if canceled():
                raise BuildFailed("canceled while a cache mount was in use")
            time.sleep(_TURN)
