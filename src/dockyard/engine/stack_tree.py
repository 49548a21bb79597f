"""Unpacked layers as one tree, read as overlayfs would show them, without mounting them.

The folders hold what strangers made, but nobody writes to them: links in them are read, never followed by the system.

Source: https://docs.kernel.org/filesystems/overlayfs.html, section "whiteouts and opaque directories".
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from dockyard.engine.folder_tree import changed, read_xattrs, same
from dockyard.engine.walking import Found, Founds, joined, resolve, walk
from dockyard.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.content.trees import Node
    from dockyard.dockerfile.ignore import IgnoreRules

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class StackTree:
    """Layer folders, the lowest first, as a :class:`~dockyard.engine.walking.WalkTree`."""

    def __init__(self, lowers: Sequence[Path | str], *, prefix: str = "") -> None:
        self._roots = tuple(os.fspath(lower) for lower in reversed(lowers))
        self._prefix = prefix
        # What a folder is made of, the uppermost first. A walk asks for each folder once, a look for all on its way.
        self._folders = lru_cache(maxsize=4096)(self._merge)

    @property
    def name(self) -> str:
        """Where the uppermost layer is."""
        return self._roots[0] if self._roots else ""

    def look(self, path: str) -> Found | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        if not path:
            return Found("", os.lstat(self._roots[0])) if self._roots else None
        parent, _, name = path.rpartition("/")
        for folder in self._folders(parent):
            if (status := _status(f"{folder}/{name}")) is not None:
                return None if _is_whiteout(status) else self._found(path, status, f"{folder}/{name}")
        return None

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        found = self.look(path)
        return found.node() if found else None

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        return [found.path.rpartition("/")[2] for found in self._inside(path)]

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading; its last part is not followed. NotFound."""
        found = self.look(path)
        if found is None or not found.is_file:
            raise NotFound(f"/{path}: not found")
        with self.reader() as reader:
            return reader.open(found)

    def real(self, path: str) -> str:
        """The path with every link in it followed inside the tree, also the last; parts that are not there stay."""

        def link_at(path: str) -> str | None:
            found = self.look(path)
            return found.link if found and found.is_link else None

        return resolve(link_at, path)

    def walk(self, top: str, rules: IgnoreRules | None = None) -> Founds:
        """Everything below ``top`` that ``rules`` leave, parents first, names sorted."""
        return walk(self._inside, top, rules)

    @contextmanager
    def reader(self) -> Iterator[StackReader]:
        """Something to read files with."""
        yield StackReader(self)

    def place(self, path: str) -> str:
        """Where on this machine something of the tree is. NotFound."""
        parent, _, name = path.rpartition("/")
        for folder in self._folders(parent) if path else ():
            if _status(f"{folder}/{name}") is not None:
                return f"{folder}/{name}"
        raise NotFound(f"/{path}: not found")

    def _inside(self, path: str) -> Founds:
        seen: dict[str, Found | None] = {}
        for folder in self._folders(path):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name not in seen:
                        status = entry.stat(follow_symlinks=False)
                        inside = joined(path, entry.name)
                        seen[entry.name] = None if _is_whiteout(status) else self._found(inside, status, entry.path)
        return [found for _, found in sorted(seen.items()) if found and not stat.S_ISSOCK(found.status.st_mode)]

    def below(self, folder: str) -> StackTree:
        """What is in a folder as a tree of its own: targets of links lose the folder's name where they begin so."""
        return StackTree(self._merge(folder)[::-1], prefix=f"{folder}/")

    def _found(self, path: str, status: os.stat_result, place: str) -> Found:
        link = os.readlink(place).removeprefix(self._prefix) if stat.S_ISLNK(status.st_mode) else ""
        return Found(path, status, link)

    def _merge(self, path: str) -> tuple[str, ...]:
        """The folders that show at ``path``, the uppermost first; none where it is no folder."""
        if not path:
            return self._roots
        parent, _, name = path.rpartition("/")
        found: tuple[str, ...] = ()
        for folder in self._folders(parent):
            place = f"{folder}/{name}"
            status = _status(place)
            if status is None:
                continue
            if not stat.S_ISDIR(status.st_mode):
                break  # a whiteout, or a file that hides what lies below
            found += (place,)
            if _is_opaque(place):
                break
        return found


class StackReader:
    """Reads files of a stack."""

    def __init__(self, tree: StackTree) -> None:
        self._tree = tree

    def open(self, found: Found) -> BinaryIO:
        """The file that was found, for reading; BuildFailed where it is another one by now."""
        try:
            descriptor = os.open(self._tree.place(found.path), _FILE)
        except OSError:
            raise changed(found.path) from None
        file = cast("BinaryIO", open(descriptor, "rb", buffering=0))  # noqa: SIM115
        if not same(os.fstat(file.fileno()), found.status):
            file.close()
            raise changed(found.path)
        return file

    def xattrs(self, found: Found) -> Mapping[str, bytes]:
        """Its extended attributes that images keep."""
        return read_xattrs(self._tree.place(found.path))


def _status(place: str) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(place: str) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(place, name, follow_symlinks=False) == b"y":
                return True
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
                raise
    return False
