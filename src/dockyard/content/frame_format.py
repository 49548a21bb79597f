"""The form of frames in a blob: how each says where the next begins, written and read.

Sources: RFC 1952, section 2.3.1.1; RFC 8878, section 3.1.2; zstd, ``contrib/seekable_format``.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_FRAMES = 2**22
"""A blob that has more, which would be a TiB, is taken for one without frames."""
_GZIP_HEAD = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + b"\x08\0" + b"DY" + b"\x04\0"
_GZIP_LENGTH = struct.Struct("<I")
_GZIP_HEADER_SIZE = len(_GZIP_HEAD) + _GZIP_LENGTH.size
_TABLE_HEAD, _TABLE_ENTRY, _TABLE_FOOT = struct.Struct("<II"), struct.Struct("<II"), struct.Struct("<IBI")
_TABLE_MAGIC, _SEEKABLE_MAGIC = 0x184D2A5E, 0x8F92EAB1


def gzip_head(size: int) -> bytes:
    """The header of a gzip member without name and time whose data and trailer have ``size`` bytes."""
    return _GZIP_HEAD + _GZIP_LENGTH.pack(_GZIP_HEADER_SIZE + size)


def seek_table(entries: Sequence[tuple[int, int]]) -> bytes:
    """The last, skippable frame of a zstd blob: the compressed and plain lengths of the others."""
    body = b"".join(_TABLE_ENTRY.pack(*entry) for entry in entries)
    foot = _TABLE_FOOT.pack(len(entries), 0, _SEEKABLE_MAGIC)
    return _TABLE_HEAD.pack(_TABLE_MAGIC, len(body) + len(foot)) + body + foot


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a blob: ``size`` bytes from ``offset`` on, which are ``plain`` bytes uncompressed."""

    offset: int
    size: int
    plain: int


def frames(path: Path) -> list[Frame]:
    """List the frames of a blob without uncompressing; none where it is not made of frames from end to end.

    They are what the blob says, for finding what is the same in two: whoever unpacks them checks what comes out.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        return _gzip_frames(descriptor, size) or _zstd_frames(descriptor, size)
    finally:
        os.close(descriptor)


def _gzip_frames(descriptor: int, end: int) -> list[Frame]:
    found: list[Frame] = []
    offset, head = 0, os.pread(descriptor, _GZIP_HEADER_SIZE, 0)
    while offset < end:
        if len(head) < _GZIP_HEADER_SIZE or not head.startswith(_GZIP_HEAD):
            return []
        (size,) = _GZIP_LENGTH.unpack_from(head, len(_GZIP_HEAD))
        if size <= _GZIP_HEADER_SIZE + 8 or offset + size > end or len(found) == MAX_FRAMES:
            return []
        # A member ends with the length of its plain bytes; the next one's header comes in the same read.
        tail = os.pread(descriptor, 4 + _GZIP_HEADER_SIZE, offset + size - 4)
        found.append(Frame(offset, size, int.from_bytes(tail[:4], "little")))
        offset, head = offset + size, tail[4:]
    return found


def _zstd_frames(descriptor: int, end: int) -> list[Frame]:
    if end < _TABLE_HEAD.size + _TABLE_FOOT.size:
        return []
    count, flags, magic = _TABLE_FOOT.unpack(os.pread(descriptor, _TABLE_FOOT.size, end - _TABLE_FOOT.size))
    length = count * _TABLE_ENTRY.size + _TABLE_FOOT.size
    start = end - length - _TABLE_HEAD.size
    if magic != _SEEKABLE_MAGIC or flags or start < 0 or count > MAX_FRAMES:
        return []
    raw = os.pread(descriptor, end - start, start)
    if _TABLE_HEAD.unpack_from(raw) != (_TABLE_MAGIC, length):
        return []
    found: list[Frame] = []
    offset = 0
    for size, plain in _TABLE_ENTRY.iter_unpack(raw[_TABLE_HEAD.size : -_TABLE_FOOT.size]):
        found.append(Frame(offset, size, plain))
        offset += size
    return found if offset == start else []
