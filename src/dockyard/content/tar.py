"""Tar archives from strangers, read so that nothing in a header is believed before it is checked.

Names are text that leads nowhere by itself. Read are ustar, GNU (long names, base-256 numbers, sparse files) and pax
headers. Where tar programs disagree, Go's ``archive/tar`` decides, which is what docker and containerd read with.

Source: POSIX.1-2017, ``pax``, sections "pax Header Block", "pax Extended Header" and "ustar Interchange Format"; the
GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content import sparse
from dockyard.content.protocols import CHUNK
from dockyard.content.tar_headers import (
    BLOCK,
    Extensions,
    Kind,
    Member,
    check_sum,
    make_member,
    number,
    read_pax,
    text,
)
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["BLOCK", "MAX_HEADER", "Kind", "Member", "TarReader", "climbs_out", "members", "normal"]

MAX_HEADER = 1024 * 1024
"""Bytes of one extended header: a long name, or pax records."""
MAX_HEADERS = 64
"""Extended headers before one member."""
_PAX = (b"x", b"X", b"g")


def members(
    file: BinaryIO, *, what: str = "the archive", limit: int = 5_000_000, end: int | None = None
) -> Iterator[Member]:
    """Yield the members of a tar that ``file`` stands at the beginning of.

    The content of a member is skipped by reading it; where the file's ``end`` in bytes is given, by seeking. What
    follows the end of the archive is not read. Raise ArchiveInvalid that says what is wrong where: no tar, cut
    short, more than ``limit`` members.
    """
    reader = TarReader(file, what=what, end=end)
    for _ in range(limit + 1):
        member = reader.next()
        if member is None:
            return
        yield member
    raise ArchiveInvalid(f"{what} has more than {limit} members")


def climbs_out(name: str) -> bool:
    """Whether a name leads out of the folder that it is read in; a leading slash means that folder."""
    depth = 0
    for part in name.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def normal(name: str) -> str:
    """The name without ``.``, ``..`` and doubled slashes; raise ArchiveInvalid where it climbs out."""
    if climbs_out(name) or "\0" in name:
        raise ArchiveInvalid(f"the archive has a member that climbs out of it: {name[:200]!r}")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class TarReader:
    """A tar archive from its beginning on: one member after the other, and the content of the one it stands at."""

    def __init__(self, file: BinaryIO, *, what: str = "the archive", end: int | None = None) -> None:
        """``end`` is the file's size where content that nobody reads can be skipped by seeking."""
        self.what = what
        self.position = 0
        self._file, self._end = file, end
        self._name = ""
        self._left = self._fill = 0

    def next(self) -> Member | None:
        """The next member, what is left of the one before skipped; ``None`` at the end of the archive."""
        self._skip()
        more = Extensions()
        for _ in range(MAX_HEADERS):
            block = self._header()
            if block is None:
                if more:
                    raise self._cut("a header")
                return None
            flag, size = block[156:157], number(block[124:136], "size", self.what)
            if flag in _PAX:
                found = read_pax(self._content(size), self.what)
                if flag != b"g":  # what is said about all members is, as in Go, not taken over
                    more.records, more.xattrs = found.records, found.xattrs
            elif flag == b"L":
                more.name = text(self._content(size))
            elif flag == b"K":
                more.link = text(self._content(size))
            else:
                return self._member(block, size, more)
        raise ArchiveInvalid(f"{self.what} has more than {MAX_HEADERS} extended headers for one member")

    def read(self, size: int = CHUNK) -> bytes:
        """Read up to ``size`` bytes of the member's stored content, none at its end."""
        if not self._left:
            return b""
        piece = self._file.read(min(size, self._left))
        if not piece:
            raise self._cut(repr(self._name[:200]))
        self.position += len(piece)
        self._left -= len(piece)
        return piece

    def _member(self, block: bytes, size: int, more: Extensions) -> Member:
        member = make_member(block, size, more, self.position, self.what)
        form = sparse.pax_form(more.records)
        self._left, self._fill = member.size, -member.size % BLOCK
        if block[156:157] == b"S" or form:
            member = self._with_holes(member, block, form)
        self._name = member.name
        return member

    def _with_holes(self, member: Member, block: bytes, form: str) -> Member:
        if member.kind is not Kind.FILE:
            raise ArchiveInvalid(f"{self.what} has a broken map of holes")
        name, full, taken = member.name, member.size, 0
        if block[156:157] == b"S":
            parts, full = sparse.old_map(block, self._block, self.what)
        else:
            name = member.records.get("GNU.sparse.name") or name
            full = sparse.full_size(member.records, full, self.what)
            if form == "1.0":
                parts, taken = sparse.leading_map(self._block, self.what)
            else:
                parts = sparse.listed_map(member.records, self.what)
        size = member.size - taken
        sparse.check_map(parts, full, size, self.what)
        self._left = size
        return replace(member, name=name, size=size, offset=self.position, holes=parts, full_size=full)

    def _header(self) -> bytes | None:
        """The next header, its sum checked; ``None`` at the end of the archive."""
        first = self.position == 0
        block = self._read(BLOCK)
        if not block and not first:
            return None  # many writers leave the closing zeros out
        if len(block) < BLOCK:
            raise ArchiveInvalid(f"{self.what} is not a tar archive" if first else f"{self.what} is cut short")
        if block == bytes(BLOCK):
            second = self._read(BLOCK)
            if len(second) == BLOCK and second != block:  # some programs would go on here, others not
                raise ArchiveInvalid(f"{self.what} is damaged: it goes on after its end")
            return None
        if not check_sum(block):
            if first:
                raise ArchiveInvalid(f"{self.what} is not a tar archive")
            raise ArchiveInvalid(f"{self.what} is damaged: no valid header at byte {self.position - BLOCK}")
        return block

    def _block(self) -> bytes:
        block = self._read(BLOCK)
        if len(block) < BLOCK:
            raise self._cut("a header")
        return block

    def _content(self, size: int) -> bytes:
        """The content of an extended header, all of it."""
        if size > MAX_HEADER:
            raise ArchiveInvalid(f"{self.what} has a header of {size} bytes; at most {MAX_HEADER} are read")
        raw = self._read(size + -size % BLOCK)
        if len(raw) < size:
            raise self._cut("a header")
        return raw[:size]

    def _skip(self) -> None:
        """Step over content, and over what fills its last block, which some writers leave out at the very end."""
        if self._end is not None:
            if self.position + self._left > self._end:
                raise self._cut(repr(self._name[:200]))
            if self._left or self._fill:
                self.position = self._file.seek(self.position + self._left + self._fill)
        else:
            while self._left:
                self.read()
            self._read(self._fill)
        self._left = self._fill = 0

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""
        raw = self._file.read(size)
        while len(raw) < size and (more := self._file.read(size - len(raw))):
            raw += more
        self.position += len(raw)
        return raw

    def _cut(self, where: str) -> ArchiveInvalid:
        if where == "a header":
            return ArchiveInvalid(f"{self.what} ends in the middle of a header")
        return ArchiveInvalid(f"{self.what} is cut short: it ends in the middle of {where}")
