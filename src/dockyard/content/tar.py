"""Tar archives from strangers, read so that nothing in a header is believed before it is checked.

Only headers are read here; names are text that leads nowhere by itself. Read are ustar, GNU (long names, base-256
numbers, sparse files) and pax headers. Where tar programs disagree, Go's ``archive/tar`` decides, which is what
docker and containerd read with.

Source: POSIX.1-2017, ``pax``, sections "pax Header Block", "pax Extended Header" and "ustar Interchange Format"; the
GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content.protocols import CHUNK
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

BLOCK = 512
MAX_HEADER = 1024 * 1024
"""Bytes of one extended header: a long name, or pax records."""
MAX_SIZE = 2**56
_GNU, _USTAR = b"ustar  \0", b"ustar\0"


class Kind(enum.Enum):
    """What a member is."""

    FILE = "file"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    FOLDER = "folder"
    SPECIAL = "special"  # a device or a pipe


_KINDS = {
    b"1": Kind.HARDLINK, b"2": Kind.SYMLINK, b"3": Kind.SPECIAL, b"4": Kind.SPECIAL, b"5": Kind.FOLDER,
    b"6": Kind.SPECIAL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its name and link as the header has them, ``size`` bytes of content from ``offset`` on."""

    name: str
    kind: Kind
    size: int
    offset: int
    link: str = ""


def members(
    file: BinaryIO, *, what: str = "the archive", limit: int = 5_000_000, end: int | None = None
) -> Iterator[Member]:
    """Yield the members of a tar that ``file`` stands at the beginning of.

    The content of a member is skipped by reading it; where the file's ``end`` in bytes is given, by seeking. What
    follows the end of the archive is not read. Raise ArchiveInvalid that says what is wrong where: no tar, cut
    short, more than ``limit`` members.
    """
    blocks = _Blocks(file, what, end)
    common: dict[str, str] = {}
    for _ in range(limit + 1):
        header = _read_header(blocks, common)
        if header is None:
            return
        yield header
        blocks.skip(header)
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


def _read_header(blocks: _Blocks, common: dict[str, str]) -> Member | None:
    """Read up to a member's content; ``None`` at the end of the archive."""
    records: dict[str, str] = {}
    while True:
        block = blocks.header()
        if block is None:
            if records:
                raise ArchiveInvalid(f"{blocks.what} ends in the middle of a header")
            return None
        kind, size = block[156:157], _number(block[124:136], "size", blocks)
        if kind in (b"x", b"g", b"X"):
            (common if kind == b"g" else records).update(_pax(blocks.content(size), blocks))
        elif kind == b"L":
            records["path"] = _text(blocks.content(size))
        elif kind == b"K":
            records["linkpath"] = _text(blocks.content(size))
        else:
            return _member(block, size, common | records, blocks)


def _member(block: bytes, size: int, records: dict[str, str], blocks: _Blocks) -> Member:
    kind = block[156:157]
    name = records.get("path") or _name(block)
    if "size" in records:
        if not (records["size"].isascii() and records["size"].isdecimal()) or len(records["size"]) > 18:
            raise ArchiveInvalid(f"{blocks.what}: {name[:200]!r} has a size that is no number")
        size = int(records["size"])
    if kind == b"S":
        blocks.skip_sparse_map(block)
    found = _KINDS.get(kind, Kind.FILE)
    if kind == b"\0" and name.endswith("/"):
        found = Kind.FOLDER  # from before there was a type for them
    if found is not Kind.FILE:
        size = 0
    if size > MAX_SIZE:
        raise ArchiveInvalid(f"{blocks.what}: {name[:200]!r} has an impossible size")
    return Member(name, found, size, blocks.position, records.get("linkpath") or _text(block[157:257]))


def _name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == _USTAR and (prefix := _text(block[345:500])):
        return f"{prefix}/{name}"
    return name


def _pax(raw: bytes, blocks: _Blocks) -> dict[str, str]:
    records: dict[str, str] = {}
    while raw.strip(b"\0"):
        length, space, _ = raw.partition(b" ")
        if not space or not length.isdigit() or len(length) > 7 or not len(length) + 3 <= int(length) <= len(raw):
            raise ArchiveInvalid(f"{blocks.what} has a broken pax header")
        record, raw = raw[len(length) + 1 : int(length)], raw[int(length) :]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or b"\0" in key:
            raise ArchiveInvalid(f"{blocks.what} has a broken pax header")
        name = key.decode(errors="surrogateescape")
        if name in ("path", "linkpath") and b"\0" in value:
            raise ArchiveInvalid(f"{blocks.what} has a name with a zero byte in it")
        records[name] = value.decode(errors="surrogateescape")
    return records


def _number(field: bytes, what: str, blocks: _Blocks) -> int:
    if field[0] & 0x80:  # base 256, of which a set second bit is a negative number
        if field[0] & 0x40:
            raise ArchiveInvalid(f"{blocks.what} has a member with a negative {what}")
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    text = field.split(b"\0")[0].strip(b" ")
    if not text:
        return 0
    try:
        if not text.isdigit():
            raise ValueError
        return int(text, 8)
    except ValueError:
        raise ArchiveInvalid(f"{blocks.what} has a member whose {what} is no number") from None


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode(errors="surrogateescape")


class _Blocks:
    """The archive as blocks of 512 bytes, and where we are in it."""

    def __init__(self, file: BinaryIO, what: str, end: int | None) -> None:
        self.what = what
        self.position = 0
        self._file, self._end = file, end

    def header(self) -> bytes | None:
        """The next header, its sum checked; ``None`` at the end of the archive."""
        first = self.position == 0
        block = self._read(BLOCK)
        if not block and not first:
            return None  # many writers leave the closing zeros out
        if len(block) < BLOCK:
            raise ArchiveInvalid(f"{self.what} is not a tar archive" if first else f"{self.what} is cut short")
        if not any(block):
            return None
        # The sum of all bytes with its own field as spaces; old programs took the bytes as signed.
        rest = block[:148] + b" " * 8 + block[156:]
        try:
            stated = int(block[148:156].split(b"\0")[0].strip(b" ") or b"-1", 8)
        except ValueError:
            stated = -1
        unsigned = sum(rest)
        if stated not in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest)):
            if first:
                raise ArchiveInvalid(f"{self.what} is not a tar archive")
            raise ArchiveInvalid(f"{self.what} is damaged: no valid header at byte {self.position - BLOCK}")
        return block

    def content(self, size: int) -> bytes:
        """The content of an extended header, all of it."""
        if size > MAX_HEADER:
            raise ArchiveInvalid(f"{self.what} has a header of {size} bytes; at most {MAX_HEADER} are read")
        raw = self._read(size + -size % BLOCK)
        if len(raw) < size:
            raise ArchiveInvalid(f"{self.what} ends in the middle of a header")
        return raw[:size]

    def skip_sparse_map(self, block: bytes) -> None:
        """Step over the blocks in which GNU's sparse files continue their map."""
        more = block[482]
        while more:
            block = self._read(BLOCK)
            if len(block) < BLOCK:
                raise ArchiveInvalid(f"{self.what} ends in the middle of a header")
            more = block[504]

    def skip(self, member: Member) -> None:
        """Step over content, and over what fills its last block, which some writers leave out at the very end."""
        size, fill = member.size, -member.size % BLOCK
        if self._end is not None:
            if self.position + size > self._end:
                raise ArchiveInvalid(f"{self.what} is cut short: it ends in the middle of {member.name[:200]!r}")
            self.position = self._file.seek(self.position + size + fill)
            return
        while size:
            piece = self._read(min(CHUNK, size))
            if not piece:
                raise ArchiveInvalid(f"{self.what} is cut short: it ends in the middle of {member.name[:200]!r}")
            size -= len(piece)
        self._read(fill)

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""
        raw = self._file.read(size)
        while len(raw) < size and (more := self._file.read(size - len(raw))):
            raw += more
        self.position += len(raw)
        return raw
