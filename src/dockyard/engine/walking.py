"""Trees that copying walks: everything below a folder, with all that a layer and its checksum have to know.

A :class:`WalkTree` is a :class:`~dockyard.content.trees.Tree` that also hands out what it found as :class:`Found`, so
that a folder of 20,000 files is walked once, with one ``lstat`` a file.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dockyard.content.tar import Kind
from dockyard.content.tar_headers import SECOND as SECOND
from dockyard.content.trees import Node, Tree
from dockyard.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from dockyard.dockerfile.ignore import IgnoreRules

MOST_LINKS = 255
"""Symlinks that are followed in one path, as BuildKit does, before they are taken for a circle."""
MOST_DEPTH = 250
"""Folders in one another that are walked; deeper ones are an attack on whoever does that by recursion."""
_PLAIN_SECURITY = "security.capability"


@dataclass(frozen=True, slots=True)
class MadeStatus:
    """What is needed of an :class:`os.stat_result`, for what no file system tells."""

    st_mode: int
    st_uid: int = 0
    st_gid: int = 0
    st_size: int = 0
    st_mtime_ns: int = 0
    st_ctime_ns: int = 0
    st_ino: int = 0
    st_dev: int = 0
    st_nlink: int = 1
    st_rdev: int = 0

    @classmethod
    def dated(cls, status: Status, mtime: int) -> MadeStatus:
        """A status with another time."""
        return cls(
            status.st_mode, status.st_uid, status.st_gid, status.st_size, mtime, status.st_ctime_ns, status.st_ino,
            status.st_dev, status.st_nlink, status.st_rdev,
        )  # fmt: skip


Status = os.stat_result | MadeStatus


class Found:
    """One thing in a tree. ``digest`` and ``xattrs`` are filled in by ``engine/checksums``."""

    __slots__ = ("digest", "link", "path", "status", "xattrs")

    def __init__(self, path: str, status: Status, link: str = "") -> None:
        self.path = path
        self.status = status
        self.link = link
        self.digest = b""
        self.xattrs: Mapping[str, bytes] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symlink."""
        return stat.S_ISLNK(self.status.st_mode)

    def node(self) -> Node:
        """It as a tar header tells it; hardlinks are files of their own here. Times are whole seconds, as docker's."""
        status = self.status
        kind, flag = _KINDS[stat.S_IFMT(status.st_mode)]
        device = (0, 0)
        if flag in (b"3", b"4"):
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        return Node(
            kind,
            0o777 if kind is Kind.SYMLINK else stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns // SECOND * SECOND,
            status.st_size if kind is Kind.FILE else 0,
            self.link,
            device,
            self.xattrs or {},
            flag,
        )


Founds = list[Found]
_KINDS = {
    stat.S_IFREG: (Kind.FILE, b"0"),
    stat.S_IFLNK: (Kind.SYMLINK, b"2"),
    stat.S_IFCHR: (Kind.SPECIAL, b"3"),
    stat.S_IFBLK: (Kind.SPECIAL, b"4"),
    stat.S_IFDIR: (Kind.FOLDER, b"5"),
    stat.S_IFIFO: (Kind.SPECIAL, b"6"),
    stat.S_IFSOCK: (Kind.SPECIAL, b"6"),
}
TYPES = {b"0": stat.S_IFREG, b"2": stat.S_IFLNK, b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"5": stat.S_IFDIR,
         b"6": stat.S_IFIFO}  # fmt: skip
"""What a tar's type flag is in a mode."""


class Reader(Protocol):
    """Reads files of a tree one after the other, quickest in the order of a walk. For one thread."""

    def open(self, found: Found) -> BinaryIO:
        """The file that was found, for reading; BuildFailed where it is another one by now."""
        ...

    def xattrs(self, found: Found) -> Mapping[str, bytes]:
        """Its extended attributes that images keep."""
        ...


class WalkTree(Tree, Protocol):
    """A tree that can be walked. ``name`` is where its checksums are kept, ``""`` for one that has no lasting files."""

    @property
    def name(self) -> str:
        """See above."""
        ...

    def look(self, path: str) -> Found | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        ...

    def walk(self, top: str, rules: IgnoreRules | None = None) -> Founds:
        """Everything below the folder ``top``, parents first, names sorted; never the folder itself.

        What ``rules`` leave out is not there; a folder that is left out is, where something in it is taken again.
        """
        ...

    def reader(self) -> AbstractContextManager[Reader]:
        """Something to read files with, for one thread."""
        ...


def walk(inside: Callable[[str], Iterable[Found]], top: str, rules: IgnoreRules | None) -> Founds:
    """Walk a tree that tells what is ``inside`` a folder, as :meth:`WalkTree.walk` has it."""
    out: Founds = []
    for found in inside(top):
        left_out = rules is not None and rules.excludes(found.path, found.is_folder)
        if not left_out:
            out.append(found)
        if found.is_folder and not (left_out and rules is not None and not rules.may_hold(found.path)):
            refuse_depth(found.path)
            below = walk(inside, found.path, rules)
            if left_out and below:
                out.append(found)
            out += below
    return out


def refuse_depth(path: str) -> None:
    """Raise BuildFailed for a folder in more than :data:`MOST_DEPTH` others."""
    if path.count("/") > MOST_DEPTH:
        raise BuildFailed(f"folders are more than {MOST_DEPTH} deep in one another: /{path[:200]}…")


def normal(path: str) -> str:
    """A path as trees take it: relative, without ``.``, ``..`` and doubled slashes; ``..`` ends at the top."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def joined(folder: str, name: str) -> str:
    """The path of a name in a folder."""
    return f"{folder}/{name}" if folder else name


def resolve(link_at: Callable[[str], str | None], path: str) -> str:
    """The path with every link in it followed, as in a root folder of its own; what is not there stays as it is.

    ``link_at`` gives the text of the symlink at a path, ``None`` where there is none. BuildFailed for a circle.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if done:
                done.pop()
            continue
        link = link_at("/".join([*done, part]))
        if link is None:
            done.append(part)
            continue
        links += 1
        if links > MOST_LINKS:
            raise BuildFailed(f"too many links in /{path}")
        if link.startswith("/"):
            done.clear()
        todo += link.split("/")[::-1]
    return "/".join(done)


def read_whole(file: BinaryIO, size: int) -> bytes:
    """The content of a file of ``size`` bytes; what has become longer or shorter is not of that size."""
    data = file.read(size + 1)
    while len(data) < size and (more := file.read(size + 1 - len(data))):
        data += more
    return data


def kept(name: str) -> bool:
    """Whether images keep an extended attribute: capabilities and what users set; others are of the machine."""
    return name == _PLAIN_SECURITY or (name.startswith("user.") and not name.startswith("user.overlay."))
