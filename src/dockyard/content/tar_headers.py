"""One tar header and its extensions, as values: numbers, names, pax records, times. Nothing is read from files here.

Source: POSIX.1-2017, ``pax``, sections "pax Header Block", "pax Extended Header" and "ustar Interchange Format"; the
GNU tar manual, "Basic Tar Format". Where programs disagree, Go's ``archive/tar`` decides.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK = 512
MAX_SIZE = 2**56
MAX_ID = 2**31 - 1
"""The largest user and group id: kernels take more, but programs that hold them signed then see another user."""
SECOND = 1_000_000_000
_GNU, _USTAR, _STAR = b"ustar  \0", b"ustar\0", b"tar\0"
_TIME = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]*))?", re.ASCII)
_XATTR = "SCHILY.xattr."
_NEWEST = 2**63 - 1


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
    """One member: its name and link as the header has them, ``size`` bytes of content from ``offset`` on.

    ``type`` is the header's flag, ``mtime`` nanoseconds since 1970. A file with holes has ``holes``: the places
    (offset, length) that the stored content belongs to, and it is ``full_size`` bytes long.
    """

    name: str
    kind: Kind
    size: int
    offset: int
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    type: bytes = b"0"
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)
    holes: Sequence[tuple[int, int]] | None = None
    full_size: int = 0


@dataclass(slots=True)
class Extensions:
    """What extended headers said about the member that follows them."""

    records: dict[str, str] = field(default_factory=dict)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    name: str = ""  # of GNU's long names, which win over pax records
    link: str = ""

    def __bool__(self) -> bool:
        return bool(self.records or self.xattrs or self.name or self.link)


def check_sum(block: bytes) -> bool:
    """Whether a header's sum is right: of all bytes, its own field as spaces; old programs took bytes as signed."""
    rest = block[:148] + b" " * 8 + block[156:]
    try:
        stated = int(block[148:156].split(b"\0")[0].strip(b" ") or b"-1", 8)
    except ValueError:
        return False
    unsigned = sum(rest)
    return stated == unsigned or stated == unsigned - 256 * sum(byte > 127 for byte in rest)


def is_gnu(block: bytes) -> bool:
    """Whether a header has GNU's layout, in which times and a map of holes stand where ustar has a prefix."""
    return block[257:265] == _GNU


def make_member(block: bytes, size: int, more: Extensions, offset: int, what: str) -> Member:
    """Put a header and its extensions together; ArchiveInvalid that names ``what`` where they can't be."""
    flag, records = block[156:157], more.records
    name = more.name or records.get("path") or _name(block)
    if "size" in records:
        size = _decimal(records["size"], "size", name, what)
    kind = _KINDS.get(flag, Kind.FILE)
    if flag == b"\0" and name.endswith("/"):
        kind, flag = Kind.FOLDER, b"5"  # from before there was a type for them
    if kind is not Kind.FILE:
        size = 0
    if size > MAX_SIZE:
        raise ArchiveInvalid(f"{what}: {name[:200]!r} has an impossible size")
    mtime = number(block[136:148], "time", what, negative=True) * SECOND
    if "mtime" in records:
        mtime = _time(records["mtime"], name, what)
    if not -_NEWEST <= mtime <= _NEWEST:
        mtime = 0  # as docker: no system has such a time
    device = (0, 0)
    if kind is Kind.SPECIAL and block[257:262] == b"ustar":
        device = (number(block[329:337], "device", what), number(block[337:345], "device", what))
    return Member(
        name, kind, size, offset, more.link or records.get("linkpath") or text(block[157:257]),
        number(block[100:108], "mode", what) & 0o7777,
        _identity(block[108:116], records.get("uid"), "user id", name, what),
        _identity(block[116:124], records.get("gid"), "group id", name, what),
        mtime, flag, device, more.xattrs, records,
    )  # fmt: skip


def read_pax(raw: bytes, what: str) -> Extensions:
    """Read the records of one pax header. Those of holes that come in pairs are put together as one map."""
    made = Extensions()
    pairs: list[str] = []
    at, end = 0, len(raw.rstrip(b"\0"))
    while at < end:
        length, space, _ = raw[at : at + 9].partition(b" ")
        if not space or not length.isdigit() or len(length) > 7 or not len(length) + 3 <= int(length) <= len(raw) - at:
            raise ArchiveInvalid(f"{what} has a broken pax header")
        record, at = raw[at + len(length) + 1 : at + int(length)], at + int(length)
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or b"\0" in key:
            raise ArchiveInvalid(f"{what} has a broken pax header")
        name = key.decode(errors="surrogateescape")
        if name.startswith(_XATTR):
            made.xattrs[name[len(_XATTR) :]] = value
            continue
        if name in ("path", "linkpath", "GNU.sparse.name") and b"\0" in value:
            raise ArchiveInvalid(f"{what} has a name with a zero byte in it")
        if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            if name.endswith("offset") == len(pairs) % 2 or b"," in value:
                raise ArchiveInvalid(f"{what} has a broken map of holes")
            pairs.append(value.decode(errors="surrogateescape"))
            continue
        made.records[name] = value.decode(errors="surrogateescape")
    if pairs:
        made.records["GNU.sparse.map"] = ",".join(pairs)
    return made


def number(raw: bytes, what: str, where: str, *, negative: bool = False) -> int:
    """A number field: octal text, or base 256 where the first bit is set."""
    if raw[0] & 0x80:  # base 256, of which a set second bit is a negative number
        if raw[0] & 0x40:
            if negative:
                return int.from_bytes(raw, "big", signed=True)
            raise ArchiveInvalid(f"{where} has a member with a negative {what}")
        return int.from_bytes(bytes([raw[0] & 0x3F]) + raw[1:], "big")
    digits = raw.strip(b" \0").split(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    try:
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise ArchiveInvalid(f"{where} has a member whose {what} is no number") from None


def text(raw: bytes) -> str:
    """A text field, up to its first zero byte."""
    return raw.split(b"\0", 1)[0].decode(errors="surrogateescape")


def _name(block: bytes) -> str:
    name = text(block[:100])
    if block[257:263] == _USTAR:
        prefix = text(block[345:476] if block[508:512] == _STAR else block[345:500])
        if prefix:
            return f"{prefix}/{name}"
    return name


def _identity(raw: bytes, record: str | None, what: str, name: str, where: str) -> int:
    found = _decimal(record, what, name, where) if record else number(raw, what, where)
    if found > MAX_ID:
        raise ArchiveInvalid(f"{where}: {name[:200]!r} has a {what} of {found}; {MAX_ID} is the largest")
    return found


def _decimal(digits: str, what: str, name: str, where: str) -> int:
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise ArchiveInvalid(f"{where}: {name[:200]!r} has a {what} that is no number")
    return int(digits)


def _time(written: str, name: str, where: str) -> int:
    match = _TIME.fullmatch(written)
    if not match:
        raise ArchiveInvalid(f"{where}: {name[:200]!r} has a time that is no number")
    sign, seconds, fraction = match.groups()
    time = int(seconds) * SECOND + int((fraction or "")[:9].ljust(9, "0"))
    return -time if sign else time
