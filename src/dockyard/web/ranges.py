"""Byte ranges and entity tags in headers. Pure.

Source: RFC 9110, sections 13.1.2 (If-None-Match), 13.1.5 (If-Range) and 14 (Range); OCI distribution specification,
section "Pushing a blob in chunks", for its own dialect of ``Content-Range`` and ``Range``.
"""

from __future__ import annotations

import re

from dockyard.errors import BlobUploadInvalid, OutOfRange

MAX_RANGES = 1024
"""Ranges in one request that are answered as ranges; clients of partial layers ask for up to this many."""

_RANGE = re.compile(r"\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)
_CONTENT_RANGE = re.compile(r"\s*(?:bytes[ =])?\s*(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?\s*", re.ASCII)


def parse_range(header: str, size: int) -> list[tuple[int, int]] | None:
    """The ranges asked for of ``size`` bytes, half-open and in the order asked; ``None``: send the whole.

    The whole is sent for another unit, for what is not a range, for ranges that together are more than the whole
    (nobody is sent more than there is), and for an empty content. Raise OutOfRange where no range is inside.
    """
    unit, equals, text = header.partition("=")
    if not equals or unit.strip().lower() != "bytes" or size == 0:
        return None
    pieces = text.split(",")
    if len(pieces) > MAX_RANGES:
        return None
    found: list[tuple[int, int]] = []
    for piece in pieces:
        match = _RANGE.fullmatch(piece)
        if match is None or not (match[1] or match[2]):
            return None
        start, end = _bounds(match[1], match[2], size)
        if start < end:
            found.append((start, end))
    if not found:
        raise OutOfRange(f"{header[:80]!r} is outside of the content, which has {size} bytes")
    if len(found) > 1 and sum(end - start for start, end in found) > size:
        return None
    return found


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Half-open, cut to the size; empty where nothing of it is inside."""
    if not first:
        return max(0, size - int(last)), size
    if not last:
        return int(first), size
    return int(first), min(int(last) + 1, size)


def if_range_holds(header: str | None, etag: str) -> bool:
    """Whether ``Range`` counts: there is no If-Range, or it names this very content. Dates name nothing here."""
    return header is None or header.strip() == etag


def etag_known(header: str, etag: str) -> bool:
    """Whether If-None-Match names the content the client would get."""
    known = [entry.strip().removeprefix("W/") for entry in header.split(",")]
    return etag in known or "*" in known


def parse_content_range(header: str) -> tuple[int, int]:
    """Offset of a chunk, and of the byte after it: ``0-1023``, also with a unit or a total as other clients write it.

    Raise BlobUploadInvalid where it is none of these.
    """
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or int(match[2]) < int(match[1]):
        raise BlobUploadInvalid(f"Content-Range {header[:80]!r} is not <first byte>-<last byte>")
    return int(match[1]), int(match[2]) + 1


def content_range(start: int, end: int, size: int) -> str:
    """``Content-Range`` of a part that is sent."""
    return f"bytes {start}-{end - 1}/{size}"


def upload_range(offset: int) -> str:
    """``Range`` of an upload that has ``offset`` bytes; an empty one says ``0-0``, as clients know it from docker."""
    return f"0-{max(offset - 1, 0)}"
