"""A folder of this machine as a tree that can't be left, whoever changes it meanwhile.

Every step goes from an open folder to a name in it, and never through a symlink: links are followed by text alone,
inside the tree. So what becomes a link while it is read leads nowhere. Files are opened without waiting, as a pipe
may have taken a file's place.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

from dockyard.engine.walking import Found, Founds, MadeStatus, joined, kept, refuse_depth, resolve
from dockyard.errors import BuildFailed, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.content.trees import Node
    from dockyard.dockerfile.ignore import IgnoreRules
    from dockyard.engine.walking import Status

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_NO_XATTRS = {errno.ENOTSUP, errno.EPERM, errno.EACCES, *_GONE}


class FolderTree:
    """A folder as a :class:`~dockyard.engine.walking.WalkTree`.

    Sockets are left out, and so are pipes, which no build sends. ``mtime`` in nanoseconds, where given, is what all
    files have in place of their own.
    """

    def __init__(self, root: Path | str, *, mtime: int | None = None) -> None:
        self.root = os.path.realpath(root)
        self.mtime = mtime

    @property
    def name(self) -> str:
        """Where it is."""
        return self.root

    def look(self, path: str) -> Found | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        found = self._at(path)
        return found if found and _taken(found.status.st_mode) else None

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        found = self.look(path)
        return found.node() if found else None

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        try:
            with self.folder(path) as descriptor:
                names = sorted(os.listdir(descriptor))
        except NotFound:
            return []
        return [name for name in names if self.look(joined(path, name))]

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading; its last part is not followed. NotFound."""
        parent, _, name = path.rpartition("/")
        with self.folder(parent) as descriptor:
            return _opened(descriptor, name, path)

    def real(self, path: str) -> str:
        """The path with every link in it followed inside the tree, also the last; parts that are not there stay."""

        def link_at(path: str) -> str | None:
            found = self._at(path)
            return found.link if found and found.is_link else None

        return resolve(link_at, path)

    def walk(self, top: str, rules: IgnoreRules | None = None) -> Founds:
        """Everything below ``top`` that ``rules`` leave, parents first, names sorted."""
        found: Founds = []
        with self.folder(top) as descriptor:
            self._walk(descriptor, top, rules, found)
        return found

    @contextmanager
    def reader(self) -> Iterator[FolderReader]:
        """Something to read files with, for one thread."""
        reader = FolderReader(self)
        try:
            yield reader
        finally:
            reader.close()

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """An open folder of the tree. NotFound."""
        descriptor = self.enter(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def enter(self, path: str) -> int:
        """Open a folder, step by step from the top. NotFound, Unavailable."""
        try:
            descriptor = os.open(self.root, _FOLDER)
            for part in path.split("/") if path else ():
                try:
                    inner = os.open(part, _FOLDER, dir_fd=descriptor)
                finally:
                    os.close(descriptor)
                descriptor = inner
        except OSError as error:
            raise _failed(error, path) from None
        return descriptor

    def _at(self, path: str) -> Found | None:
        if not path:
            return Found("", self._dated(os.stat(self.root)))
        parent, _, name = path.rpartition("/")
        try:
            with self.folder(parent) as descriptor:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                link = os.readlink(name, dir_fd=descriptor) if stat.S_ISLNK(status.st_mode) else ""
        except NotFound:
            return None
        except OSError as error:
            if error.errno in _GONE or error.errno == errno.EINVAL:
                return None
            raise _failed(error, path) from None
        return Found(path, self._dated(status), link)

    def _walk(self, descriptor: int, top: str, rules: IgnoreRules | None, out: Founds) -> None:
        try:
            with os.scandir(descriptor) as entries:
                names = sorted(entries, key=_name_of)
        except OSError as error:
            raise _failed(error, top) from None
        dated, prefix = self.mtime is not None, f"{top}/" if top else ""
        for entry in names:
            path = prefix + entry.name
            try:
                status: Status = entry.stat(follow_symlinks=False)
                if dated:
                    status = self._dated(status)
                kind = status.st_mode & 0o170000
                found = Found(path, status, os.readlink(entry.name, dir_fd=descriptor) if kind == stat.S_IFLNK else "")
            except OSError as error:
                if error.errno in _GONE or error.errno == errno.EINVAL:
                    continue  # it went away, or is something else by now
                raise _failed(error, path) from None
            left_out = rules is not None and rules.excludes(path, kind == stat.S_IFDIR)
            if kind == stat.S_IFDIR:
                if not left_out:
                    out.append(found)
                if not left_out or (rules is not None and rules.may_hold(path)):
                    self._walk_into(descriptor, found, left_out, rules, out)
            elif not left_out and _taken(kind):
                out.append(found)

    def _walk_into(
        self, descriptor: int, folder: Found, left_out: bool, rules: IgnoreRules | None, out: Founds
    ) -> None:
        refuse_depth(folder.path)
        try:
            inner = os.open(folder.path.rpartition("/")[2], _FOLDER, dir_fd=descriptor)
        except OSError as error:
            if error.errno in _GONE:
                raise changed(folder.path) from None
            raise _failed(error, folder.path) from None
        before = len(out)
        try:
            self._walk(inner, folder.path, rules, out)
        finally:
            os.close(inner)
        if left_out and len(out) > before:
            out.insert(before, folder)

    def _dated(self, status: Status) -> Status:
        return status if self.mtime is None else MadeStatus.dated(status, self.mtime)


class FolderReader:
    """Reads files of a folder tree, keeping the last folder open until it is closed. For one thread."""

    def __init__(self, tree: FolderTree) -> None:
        self._tree = tree
        self._path: str | None = None
        self._descriptor = -1
        self._closed = False

    def open(self, found: Found) -> BinaryIO:
        """The file that was found, for reading; BuildFailed where it is another one by now. Also once it is closed."""
        folder, _, name = found.path.rpartition("/")
        with self._folder(folder) as descriptor:
            file = _opened(descriptor, name, found.path)
        if not same(os.fstat(file.fileno()), found.status):
            file.close()
            raise changed(found.path)
        return file

    def xattrs(self, found: Found) -> Mapping[str, bytes]:
        """Its extended attributes that images keep."""
        folder, _, name = found.path.rpartition("/")
        with self._folder(folder) as descriptor:
            return read_xattrs(f"/proc/self/fd/{descriptor}/{name}")

    def close(self) -> None:
        """Keep no folder open from now on."""
        self._let_go()
        self._closed = True

    def _folder(self, path: str) -> AbstractContextManager[int]:
        if self._closed:
            return self._tree.folder(path)
        if self._path != path:
            self._let_go()
            self._descriptor, self._path = self._tree.enter(path), path
        return nullcontext(self._descriptor)

    def _let_go(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)
            self._path = None


def same(status: Status, before: Status) -> bool:
    """Whether a file is the one that was found, unchanged. Its mtime follows from its ctime."""
    return (status.st_ino, status.st_dev, status.st_size, status.st_ctime_ns) == (
        before.st_ino,
        before.st_dev,
        before.st_size,
        before.st_ctime_ns,
    )


def changed(path: str) -> BuildFailed:
    """The error for a file that did not stay as it was."""
    return BuildFailed(f"/{path} changed while it was read", hint="Build again once nothing writes to the context.")


def read_xattrs(path: str) -> dict[str, bytes]:
    """The extended attributes of a file that images keep; the last part is not followed."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names) if kept(name)}
    except OSError as error:
        if error.errno in _NO_XATTRS or error.errno == errno.ENODATA:
            return {}
        raise _failed(error, path) from None


def _opened(folder: int, name: str, path: str) -> BinaryIO:
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        raise _failed(error, path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise changed(path)
    return cast("BinaryIO", open(descriptor, "rb", buffering=0))


def _failed(error: OSError, path: str) -> NotFound | Unavailable:
    if error.errno in _GONE or error.errno == errno.ENXIO:
        return NotFound(f"/{path}: not found")
    return Unavailable(f"can't read /{path}: {os.strerror(error.errno or 0).lower()}")


def _taken(mode: int) -> bool:
    return stat.S_IFMT(mode) not in (stat.S_IFSOCK, stat.S_IFIFO)


def _name_of(entry: os.DirEntry[str]) -> str:
    return entry.name
