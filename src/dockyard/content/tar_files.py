"""The files of a tar archive by name, read where they lie: nothing is unpacked."""

from __future__ import annotations

import io
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.compress import Plain
from dockyard.content.folders import storage_errors
from dockyard.content.protocols import CHUNK
from dockyard.content.tar import Kind, Member, members, normal
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from typing import Any, BinaryIO

MAX_MEMBERS = 200_000
"""Members of an archive of images; more is no such archive."""
_LINKS = 16  # links to links


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes in an open file: ``size`` of them from ``offset`` on."""

    descriptor: int
    offset: int
    size: int

    def read(self) -> bytes:
        """All of them, in memory."""
        return b"".join(iter(self.stream().read, b""))

    def stream(self) -> Window:
        """A file of these bytes alone."""
        return Window(self)


class Window(io.RawIOBase):
    """A part of an open file as a file of its own, with a position of its own."""

    def __init__(self, place: Place) -> None:
        self._place, self._position = place, 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; raise ArchiveInvalid where the file has become shorter."""
        size = min(len(buffer), self._place.size - self._position)
        piece = os.pread(self._place.descriptor, size, self._place.offset + self._position)
        if size and not piece:
            raise ArchiveInvalid("the archive was cut short while it was read")
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


class TarFiles:
    """An indexed archive; one that is compressed, or comes through a pipe, is first written to a nameless file."""

    def __init__(self, file: BinaryIO, *, scratch: Path | None = None) -> None:
        """Index ``file`` from its beginning. ArchiveInvalid; Full where ``scratch`` has no space."""
        self._open = ExitStack()
        try:
            self._file = self._plain(file, scratch)
            end = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            self._members: dict[str, Member] = {}
            for member in members(self._file, limit=MAX_MEMBERS, end=end):
                name = normal(member.name)
                if member.kind is not Kind.FOLDER:
                    self._members[name] = member  # of two with one name the last is the one that unpacking leaves
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the temporary file; the file that was given stays open."""
        self._open.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def place(self, name: str) -> Place:
        """Where a file's content is, links followed inside the archive. ArchiveInvalid where there is none."""
        asked, name = name, normal(name)
        for _ in range(_LINKS):
            member = self._members.get(name)
            if member is None:
                break
            if member.kind is Kind.FILE:
                return Place(self._file.fileno(), member.offset, member.size)
            if member.kind is Kind.SYMLINK and not member.link.startswith("/"):
                name = normal(f"{name.rpartition('/')[0]}/{member.link}")
            elif member.kind is Kind.HARDLINK:
                name = normal(member.link)
            else:
                raise ArchiveInvalid(f"{asked!r} in the archive is not a file")
        raise ArchiveInvalid(f"the archive has no file {asked[:200]!r}, which it names")

    def read(self, name: str, *, limit: int) -> bytes:
        """A small file's content. ArchiveInvalid where there is none, or over ``limit`` bytes."""
        place = self.place(name)
        if place.size > limit:
            raise ArchiveInvalid(f"{name[:200]!r} in the archive has {place.size} bytes; at most {limit} are read")
        return place.read()

    def _plain(self, file: BinaryIO, scratch: Path | None) -> BinaryIO:
        plain = Plain(file)
        if not plain.compression and file.seekable() and isinstance(file, io.BufferedReader):
            return file
        with storage_errors(scratch or Path(tempfile.gettempdir())):
            spool = self._open.enter_context(tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115
            while piece := plain.read(CHUNK):
                spool.write(piece)
            spool.flush()
        return spool
