"""What a command changed, read from overlayfs' upper folder as the entries of a layer.

Whiteouts, which the upper folder has as devices and attributes, become the files ``.wh.…`` of layers. Names are in
the order of their bytes, a folder before what is in it. No link is ever followed.

Source: the kernel's ``Documentation/filesystems/overlayfs.rst``, sections "whiteouts and opaque directories" and
"Metadata only copy up"; OCI image specification, ``layer.md``, section "Whiteouts".
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OVERLAY = ("trusted.overlay.", "user.overlay.")
_ELSEWHERE = ("redirect", "metacopy")  # the entry's name or content is in a lower folder
_DROPPED = ("security.selinux",)  # the machine's label, not the image's
_NONE = Node(Kind.FILE, 0)
_DEVICES = {stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6"}


def diff_layer(upper: Path, *, skip: Callable[[str], bool] = lambda _: False) -> Iterator[tuple[Entry, Path | None]]:
    """Yield the entries of a layer, files with where their content is: open that with :func:`open_file`.

    What ``skip`` says of its path is left out, with all that is in it. The upper folder itself is no entry. Sockets are
    left out: they are nothing without their process. Unsupported where an entry can't be in a layer; Unavailable.
    """
    walk = _Walk(upper, skip)
    try:
        with storage_errors(upper):
            walk.enter(os.open(upper, _FOLDER_FLAGS), "")
            while walk.open:
                yield from walk.step()
    finally:
        for folder in walk.open:
            os.close(folder.descriptor)


def open_file(path: Path) -> BinaryIO:
    """Open a file of the upper folder for reading, unbuffered; a link there is not followed."""
    return os.fdopen(os.open(path, _FILE_FLAGS), "rb", buffering=0)


@dataclass(frozen=True, slots=True)
class _Folder:
    descriptor: int
    path: str
    names: Iterator[str]


class _Walk:
    """The folders that we are in, the innermost last: a tree may be deeper than Python's stack."""

    def __init__(self, upper: Path, skip: Callable[[str], bool]) -> None:
        self._upper, self._skip = upper, skip
        self._links: dict[tuple[int, int], str] = {}
        self.open: list[_Folder] = []

    def enter(self, descriptor: int, path: str) -> None:
        """Go on in an open folder, which is closed at its end."""
        self.open.append(_Folder(descriptor, path, iter(())))
        names = sorted(os.listdir(descriptor), key=os.fsencode)
        self.open[-1] = _Folder(descriptor, path, iter(names))

    def step(self) -> Iterator[tuple[Entry, Path | None]]:
        """Yield what the innermost folder has next, and enter it where it is a folder."""
        folder = self.open[-1]
        name = next(folder.names, None)
        if name is None:
            os.close(self.open.pop().descriptor)
            return
        before = f"{folder.path}/" if folder.path else ""
        path = before + name
        if self._skip(path):
            return
        found = os.lstat(name, dir_fd=folder.descriptor)
        if stat.S_ISDIR(found.st_mode):
            yield from self._subfolder(folder.descriptor, name, path)
        elif stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            yield Entry(f"{before}{WHITEOUT}{name}", _NONE), None
        elif not stat.S_ISSOCK(found.st_mode):
            yield self._entry(folder.descriptor, name, path, found)

    def _subfolder(self, parent: int, name: str, path: str) -> Iterator[tuple[Entry, Path | None]]:
        _refuse_name(name, path)
        descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        self.enter(descriptor, path)
        kept, overlay = _attributes(f"/proc/self/fd/{descriptor}", path, follow=True)
        yield Entry(path, _node(Kind.FOLDER, os.fstat(descriptor), xattrs=kept)), None
        if overlay.get("opaque") == b"y":
            yield Entry(f"{path}/{OPAQUE}", _NONE), None

    def _entry(self, parent: int, name: str, path: str, found: os.stat_result) -> tuple[Entry, Path | None]:
        _refuse_name(name, path)
        kept, _ = _attributes(f"/proc/self/fd/{parent}/{name}", path, follow=False)
        if stat.S_ISLNK(found.st_mode):
            return Entry(path, _node(Kind.SYMLINK, found, link=os.readlink(name, dir_fd=parent), xattrs=kept)), None
        if not stat.S_ISREG(found.st_mode):
            device = (os.major(found.st_rdev), os.minor(found.st_rdev))
            flag = _DEVICES[stat.S_IFMT(found.st_mode)]
            return Entry(path, _node(Kind.SPECIAL, found, device=device, flag=flag, xattrs=kept)), None
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                return Entry(path, _node(Kind.HARDLINK, found, link=first, flag=b"1", xattrs=kept)), None
        return Entry(path, _node(Kind.FILE, found, size=found.st_size, xattrs=kept)), self._upper / path


def _node(
    kind: Kind, found: os.stat_result, *, size: int = 0, link: str = "", device: tuple[int, int] = (0, 0),
    flag: bytes = b"0", xattrs: Mapping[str, bytes],
) -> Node:  # fmt: skip
    mode = stat.S_IMODE(found.st_mode)
    return Node(kind, mode, found.st_uid, found.st_gid, found.st_mtime_ns, size, link, device, xattrs, flag)


def _attributes(name: str, path: str, *, follow: bool) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """The extended attributes to keep, and overlayfs' own without their prefix."""
    kept: dict[str, bytes] = {}
    overlay: dict[str, bytes] = {}
    try:
        names = os.listxattr(name, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return kept, overlay
        raise
    for key in sorted(names):
        ours = next((prefix for prefix in _OVERLAY if key.startswith(prefix)), None)
        if ours:
            overlay[key.removeprefix(ours)] = os.getxattr(name, key, follow_symlinks=follow)
        elif key not in _DROPPED:
            kept[key] = os.getxattr(name, key, follow_symlinks=follow)
    if elsewhere := next((key for key in _ELSEWHERE if key in overlay), None):
        raise Unsupported(
            f"{path} is only in part in the overlay's upper folder ({elsewhere})",
            hint="Mount overlayfs with redirect_dir=off,metacopy=off.",
        )
    return kept, overlay


def _refuse_name(name: str, path: str) -> None:
    if name.startswith(WHITEOUT):
        raise Unsupported(
            f"{path} can't be in a layer: a name with {WHITEOUT!r} in front says there that a file was removed",
            hint="Give it another name, or remove it before the command ends.",
        )
