"""Tar headers that depend on nothing but what they tell: ustar where that holds it, pax records where it doesn't.

They are written as Go's ``archive/tar`` writes them, which is what docker, BuildKit and podman write with. Times are
whole seconds, cut off, as theirs are in layers. No user and group names, no times of access and change.

Source: POSIX.1-2017, ``pax``, sections "pax Header Block", "pax Extended Header" and "ustar Interchange Format".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from dockyard.content.tar import BLOCK, MAX_HEADER, Kind
from dockyard.content.tar_headers import MAX_ID, SECOND
from dockyard.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockyard.content.trees import Node

END = bytes(2 * BLOCK)
"""What ends an archive."""
_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_SMALL, _LARGE = 8**7 - 1, 8**11 - 1  # the most that fits a field of 8, of 12 bytes
FLAGS = {Kind.FILE: b"0", Kind.HARDLINK: b"1", Kind.SYMLINK: b"2", Kind.FOLDER: b"5"}
"""The type flag of each kind but devices and pipes, which their nodes have."""
_DEVICES = (b"3", b"4", b"6")


def header(
    path: str, node: Node, *, records: Mapping[str, bytes] | None = None, bits: int = 0, slash: bool = True
) -> bytes:
    """Return the header of one member, extended header included; content follows for files alone.

    ``records`` are more pax records, ``bits`` are set in the mode beside the permissions; a folder's name ends with a
    ``slash``. Unsupported where a tar can't hold what the node says.
    """
    pax = dict(records) if records else {}
    name, link = path.encode(errors="surrogateescape"), node.link.encode(errors="surrogateescape")
    if b"\0" in name or b"\0" in link:
        raise Unsupported(f"{path!r} or its link has a zero byte in it, which a tar can't hold")
    flag = FLAGS.get(node.kind, node.type)
    if node.kind is Kind.SPECIAL and flag not in _DEVICES:
        raise Unsupported(f"{path!r} is neither a file, a folder, a link, a device nor a pipe: a tar can't hold it")
    if node.uid > MAX_ID or node.gid > MAX_ID:
        raise Unsupported(f"{path!r} has the owner {node.uid}:{node.gid}; {MAX_ID} is the largest in a layer")
    if node.kind is Kind.FOLDER and slash:
        name += b"/"
    if len(link) > 100 or not link.isascii():
        pax["linkpath"] = link
    size = node.size if node.kind is Kind.FILE else 0
    seconds = node.mtime // SECOND
    numbers = (("uid", node.uid, _SMALL), ("gid", node.gid, _SMALL), ("size", size, _LARGE), ("mtime", seconds, _LARGE))
    for key, number, most in numbers:
        if not 0 <= number <= most:
            pax[key] = b"%d" % number
    for key, value in node.xattrs.items():
        if "=" in key:
            raise Unsupported(f"{path!r} has an extended attribute whose name a tar can't hold: {key!r}")
        pax["SCHILY.xattr." + key] = value
    prefix, last = b"", name
    if len(name) > 100 or not name.isascii():
        split = None if pax else _split(name)
        if split:
            prefix, last = split
        else:
            pax["path"] = name
    device = node.device if node.kind is Kind.SPECIAL else (0, 0)
    block = _block(last, bits | node.mode, node.uid, node.gid, size, seconds, flag, link, prefix, device)
    return _extended(path, name, pax) + block if pax else block


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """A long name as ustar's prefix and name; ``None`` where they can't hold it."""
    if len(name) > 256 or not name.isascii():
        return None
    # The slash of a folder stays with its name.
    at = name.rfind(b"/", 0, min(156, len(name) - 1))
    if at <= 0 or not 0 < len(name) - at - 1 <= 100:
        return None
    return name[:at], name[at + 1 :]


def _extended(path: str, name: bytes, pax: Mapping[str, bytes]) -> bytes:
    body = b"".join(_record(key.encode(errors="surrogateescape"), pax[key]) for key in sorted(pax))
    if len(body) > MAX_HEADER:
        raise Unsupported(f"{path!r} has more extended attributes than a tar can hold: {len(body)} bytes")
    folder, slash, last = name.rpartition(b"/")
    title = _field(folder + slash + b"PaxHeaders.0/" + last).rstrip(b"/")
    head = _block(title, 0, 0, 0, len(body), 0, b"x", b"", b"", None)
    return head + body + bytes(-len(body) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) + len(rest) != length:  # its own digits made it longer by one more
        length += 1
    return b"%d%b" % (length, rest)


def _block(
    name: bytes, mode: int, uid: int, gid: int, size: int, seconds: int, flag: bytes, link: bytes, prefix: bytes,
    device: tuple[int, int] | None,
) -> bytes:  # fmt: skip
    """A ustar header. What doesn't fit is cut, or zero: a pax record has it."""
    fields = [
        name if len(name) <= 100 and name.isascii() else _field(name),
        b"%07o\0" % mode,
        b"%07o\0" % (uid if 0 <= uid <= _SMALL else 0),
        b"%07o\0" % (gid if 0 <= gid <= _SMALL else 0),
        b"%011o\0" % (size if size <= _LARGE else 0),
        b"%011o\0" % (seconds if 0 <= seconds <= _LARGE else 0),
        b"        ",  # the sum is made with spaces in its place
        flag,
        link if len(link) <= 100 and link.isascii() else _field(link),
        b"ustar\x0000",
        b"",
        b"",
        b"%07o\0" % device[0] if device else b"",
        b"%07o\0" % device[1] if device else b"",
        prefix,
    ]
    fields[6] = b"%06o\0 " % sum(_FIELDS.pack(*fields))
    return _FIELDS.pack(*fields)


def _field(text: bytes) -> bytes:
    """What an old program sees of a name that doesn't fit. It takes one that ends with a slash for a folder's."""
    made = text.decode("ascii", "ignore").encode()
    return made if len(made) <= 100 else made[:100].rstrip(b"/")
