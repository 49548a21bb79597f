"""Folders that the hub writes to: private, durable, local, and never filled to the brim."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.protocols import CHUNK
from dockyard.errors import Full, SettingInvalid, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESERVE = 64 * CHUNK
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "smb3", "smbfs",
}  # fmt: skip
_NETWORK_FUSE = re.compile(r"fuse\.(?:.*s3|sshfs|rclone|glusterfs|ceph|gcs|blob|davfs|cifs|nfs|mfs|juicefs)", re.ASCII)


@contextmanager
def storage_errors(where: Path) -> Iterator[None]:
    """Turn the system's errors into ours: Full where no space is left, Unavailable for the rest."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full(f"no space left in {where}", hint="Free some space; nothing half-written is kept.") from None
        raise Unavailable(f"can't use {where}: {error.strerror}") from error


def admit(descriptor: int, size: int) -> None:
    """Raise ENOSPC when ``size`` more bytes would leave less than the reserve that the database lives from."""
    found = os.fstatvfs(descriptor)
    if found.f_bavail * found.f_frsize - size < min(_RESERVE, found.f_blocks * found.f_frsize // 16):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def make_folder(path: Path) -> None:
    """Make a folder for its owner only, whatever the umask, and make its name durable; there already is fine."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(0o700)
    except FileExistsError:
        return
    path.chmod(0o700)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_network_folder(path: Path) -> None:
    """Raise SettingInvalid when ``path`` is on a network file system: locks and syncs can't be relied on there."""
    found = file_system(path.resolve(), Path("/proc/self/mountinfo").read_text())
    if found in _NETWORK or _NETWORK_FUSE.match(found):
        raise SettingInvalid(
            f"{path} is on a network file system ({found}), where the database's locks can't be trusted",
            hint="Choose a folder on a local disk with --data.",
        )


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that ``path`` is on, by the text of ``/proc/self/mountinfo``."""
    best, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        # The last of several mounts on one point is the one that shows.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split(" ")[0]
    return found
