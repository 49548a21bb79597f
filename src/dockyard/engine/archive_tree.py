"""A tar archive as a tree, read in place: nothing of it is unpacked.

Later members take the place of earlier ones. What a member's name leads through is looked up inside the archive.
"""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from dockyard.content.tar import Kind, members, normal
from dockyard.content.tar_files import Place
from dockyard.engine.walking import TYPES, Found, Founds, MadeStatus, joined, kept, resolve, walk
from dockyard.errors import ArchiveInvalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from dockyard.content.tar import Member
    from dockyard.content.trees import Node
    from dockyard.dockerfile.ignore import IgnoreRules

_IMPLIED = stat.S_IFDIR | 0o755
_MOST_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A file's content inside of an archive."""

    place: Place
    holes: Sequence[tuple[int, int]] | None
    size: int

    def open(self) -> BinaryIO:
        """It, for reading."""
        return cast("BinaryIO", _Content(self))


class ArchiveTree:
    """A plain tar in a file that can be read anywhere, as a :class:`~dockyard.engine.walking.WalkTree`.

    ArchiveInvalid where it is none, or a member climbs out of it. The file stays the caller's, and open.
    """

    name = ""

    def __init__(self, file: BinaryIO, *, what: str = "the archive") -> None:
        self._found: dict[str, Found] = {"": Found("", MadeStatus(_IMPLIED))}
        self._names: dict[str, set[str]] = {"": set()}
        self._stored: dict[str, Stored] = {}
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        for number, member in enumerate(members(file, what=what, limit=_MOST_MEMBERS, end=size), 1):
            self._add(member, file.fileno(), number, what)

    def look(self, path: str) -> Found | None:
        """What is at ``path``; ``None`` where nothing is."""
        return self._found.get(path)

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``; ``None`` where nothing is."""
        found = self._found.get(path)
        return found.node() if found else None

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        return sorted(self._names.get(path, ()))

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading. NotFound."""
        if path not in self._stored:
            raise NotFound(f"/{path}: not found")
        return self._stored[path].open()

    def real(self, path: str) -> str:
        """The path with every link in it followed inside the archive; parts that are not there stay."""

        def link_at(path: str) -> str | None:
            found = self._found.get(path)
            return found.link if found and found.is_link else None

        return resolve(link_at, path)

    def walk(self, top: str, rules: IgnoreRules | None = None) -> Founds:
        """Everything below ``top`` that ``rules`` leave, parents first, names sorted."""
        return walk(lambda folder: [self._found[joined(folder, name)] for name in self.list(folder)], top, rules)

    @contextmanager
    def reader(self) -> Iterator[ArchiveReader]:
        """Something to read files with."""
        yield ArchiveReader(self)

    def _add(self, member: Member, descriptor: int, number: int, what: str) -> None:
        path = normal(member.name)
        if not path:
            return
        parent, _, name = path.rpartition("/")
        path = joined(self.real(parent), name)
        self._make_parents(path.rpartition("/")[0], what)
        self._clear(path, member.kind is Kind.FOLDER)
        self._names.setdefault(path.rpartition("/")[0], set()).add(name)
        if member.kind is Kind.HARDLINK:
            self._link(path, member, what)
            return
        size = member.size if member.holes is None else member.full_size
        device = os.makedev(*member.device) if member.type in (b"3", b"4") else 0
        mode = TYPES.get(member.type, stat.S_IFDIR if member.kind is Kind.FOLDER else stat.S_IFREG)
        status = MadeStatus(
            mode | member.mode & 0o7777, member.uid, member.gid, size, member.mtime, 0, number, 0, 1, device
        )
        found = Found(path, status, member.link if member.kind is Kind.SYMLINK else "")
        found.xattrs = {name: value for name, value in sorted(member.xattrs.items()) if kept(name)}
        self._found[path] = found
        if member.kind is Kind.FOLDER:
            self._names.setdefault(path, set())
        elif member.kind is Kind.FILE:
            self._stored[path] = Stored(Place(descriptor, member.offset, member.size), member.holes, size)

    def _link(self, path: str, member: Member, what: str) -> None:
        parent, _, name = normal(member.link).rpartition("/")
        target = joined(self.real(parent), name)
        before = self._found.get(target)
        if before is None or target not in self._stored:
            raise ArchiveInvalid(f"{what} links {path!r} to {target!r}, which is no file in it")
        # Several names for one file: copying tells them by their inode and the count of its names.
        status = before.status
        shared = MadeStatus(
            status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, 0, status.st_ino, 0, 2
        )
        for one in (path, target):
            found = Found(one, shared)
            found.xattrs = before.xattrs
            self._found[one] = found
        self._stored[path] = self._stored[target]

    def _make_parents(self, folder: str, what: str) -> None:
        done = ""
        for part in folder.split("/") if folder else ():
            self._names[done].add(part)
            done = joined(done, part)
            found = self._found.setdefault(done, Found(done, MadeStatus(_IMPLIED)))
            if not found.is_folder:
                raise ArchiveInvalid(f"{what} has a member below {done!r}, which is no folder")
            self._names.setdefault(done, set())

    def _clear(self, path: str, for_folder: bool) -> None:
        """Make room for a member; a folder stays where another folder comes."""
        found = self._found.get(path)
        if found is None or (for_folder and found.is_folder):
            return
        for name in self._names.pop(path, ()):
            self._clear(joined(path, name), False)
        self._stored.pop(path, None)
        del self._found[path]


class ArchiveReader:
    """Reads files of an archive."""

    def __init__(self, tree: ArchiveTree) -> None:
        self._tree = tree

    def open(self, found: Found) -> BinaryIO:
        """The file that was found, for reading."""
        return self._tree.open(found.path)

    def xattrs(self, found: Found) -> Mapping[str, bytes]:
        """Its extended attributes that images keep."""
        return found.xattrs or {}


class _Content(io.RawIOBase):
    """A stored file: read at any place, with zeros where its holes are."""

    def __init__(self, stored: Stored) -> None:
        self._descriptor, self._size, self._position = stored.place.descriptor, stored.size, 0
        holes = [(0, stored.size)] if stored.holes is None else stored.holes
        offsets = accumulate((length for _, length in holes), initial=stored.place.offset)
        self._parts = [
            (start, length, offset) for (start, length), offset in zip(holes, offsets, strict=False) if length
        ]
        self._starts = [start for start, _, _ in self._parts]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        at = self._position
        wanted = min(len(buffer), max(0, self._size - at))
        number = bisect_right(self._starts, at) - 1
        start, length, offset = self._parts[number] if number >= 0 else (0, 0, 0)
        if at < start + length:
            piece = os.pread(self._descriptor, min(wanted, start + length - at), offset + at - start)
            if wanted and not piece:
                raise ArchiveInvalid("the archive was cut short while it was read")
        else:
            following = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
            piece = bytes(max(0, min(wanted, following - at)))
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
