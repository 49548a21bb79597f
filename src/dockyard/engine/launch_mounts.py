"""The mounts of one command made ready on the machine, in the launching process' own namespace."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine import host
from dockyard.engine.overlays import imitate, mount_overlay
from dockyard.engine.runtime_spec import SpecMount
from dockyard.errors import Invalid, NotFound

if TYPE_CHECKING:
    from dockyard.engine.launch_plan import LaunchPlan, PlannedMount


class Preparation:
    """Makes mounts of a plan ready, one after the other, under ``private``; ``written`` is a folder on disk.

    runc is only told paths in here. What a mount names is resolved once, in its own tree, and held open.
    """

    def __init__(self, plan: LaunchPlan, private: Path, written: Path) -> None:
        self._rootless, self._private, self._written, self._count = plan.rootless, private, written, 0

    def prepare(self, mount: PlannedMount) -> SpecMount:
        """Make one mount ready. NotFound where its source is not there; OSError."""
        self._count += 1
        place = self._private / f"mount-{self._count}"
        if mount.kind == "tmpfs":
            size = () if mount.size is None else (f"size={mount.size}",)
            return SpecMount(mount.target, type="tmpfs", options=("nosuid", "nodev", *size))
        if mount.kind == "file":
            self._write(mount, place)
            return SpecMount(mount.target, str(place), readonly=True, options=("nosuid", "nodev"))
        if mount.kind == "socket":
            self._bind(mount.host, place, is_folder=False)
        elif mount.kind == "cache":
            self._fill(mount, place)
            self._bind(f"{mount.cache}/data", place, is_folder=True)
        else:
            self._take(mount, place)
            if not mount.readonly:
                place = self._writable(place)
        return SpecMount(mount.target, str(place), readonly=mount.readonly)

    def _write(self, mount: PlannedMount, place: Path) -> None:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(mount.content)
            os.fchown(descriptor, mount.uid, mount.gid)
            os.fchmod(descriptor, mount.mode)

    def _bind(self, source: str, place: Path, *, is_folder: bool) -> None:
        place.mkdir() if is_folder else place.touch()
        host.mount(source, str(place), flags=host.MS_BIND | host.MS_REC)

    def _take(self, mount: PlannedMount, place: Path) -> None:
        """Bind what a mount names in its tree."""
        tree = Path(mount.host)
        if not mount.host:
            tree = self._private / f"tree-{self._count}"
            tree.mkdir()
            links = self._private / f"tree-{self._count}-links"
            mount_overlay(tree, [Path(lower) for lower in mount.lowers], links, rootless=self._rootless)
        root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = host.open_inside(root, mount.source, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f'"/{mount.source.strip("/")}": not found') from None
        finally:
            os.close(root)
        kind = os.fstat(found).st_mode
        if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
            raise Invalid(f'"/{mount.source.strip("/")}" is neither a folder nor a file')
        self._bind(f"/proc/self/fd/{found}", place, is_folder=stat.S_ISDIR(kind))
        os.close(found)
        host.make_readonly(str(place))

    def _writable(self, place: Path) -> Path:
        """The same files, but what is written goes elsewhere, and away with it."""
        written, over = self._written / str(self._count), self._private / f"mount-{self._count}-written"
        if not place.is_dir():
            written.parent.mkdir(exist_ok=True)
            shutil.copy2(place, written)
            found = place.stat()
            os.chown(written, found.st_uid, found.st_gid)
            self._bind(str(written), over, is_folder=False)
            return over
        for folder in (written / "upper", written / "work", over):
            folder.mkdir(parents=True)
        root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            imitate(root, "", written / "upper")
        finally:
            os.close(root)
        links = self._private / f"mount-{self._count}-links"
        mount_overlay(over, [place], links, upper=written / "upper", rootless=self._rootless)
        return over

    def _fill(self, mount: PlannedMount, place: Path) -> None:
        """Make a cache's folder unless it is there; of two at once, one makes it and the other waits."""
        cache = Path(mount.cache)
        lock = os.open(cache / "making", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        new = cache / "new"
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (cache / "data").is_dir():
                return
            host.remove_tree(new)  # of one that was killed
            new.mkdir()
            if mount.seeded:
                content = place.with_name(f"{place.name}-content")
                self._take(mount, content)
                if not content.is_dir():
                    raise Invalid(f'"/{mount.source.strip("/")}" is no folder: a cache can only begin as one')
                host.copy_tree(content, new)
            else:
                os.chown(new, mount.uid, mount.gid)
                new.chmod(mount.mode)
            new.rename(cache / "data")
        finally:
            os.close(lock)
