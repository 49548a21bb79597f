"""The layout of a Windows layer, as BuildKit writes it on Linux.

All files are below ``Files/``, beside an empty folder for the registry's ``Hives``; pax records say which attributes,
which security descriptor and which time of creation Windows gives them.

Source: BuildKit, ``util/winlayers``; the container base image layers of Microsoft (hcsshim, ``ociwclayer``).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from dockyard.content.tar import Kind
from dockyard.content.tar_headers import SECOND
from dockyard.content.trees import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDERS = ("Hives", "Files")
"""The folders that a layer begins with, in order."""
FILES = "Files/"
_ATTRIBUTES = {Kind.FOLDER: b"16", Kind.FILE: b"32"}  # FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_ARCHIVE
_BITS = {Kind.FOLDER: 0o40000, Kind.FILE: 0o100000}

_SYSTEM = (1, 5, (18,))  # S-1-5-18
_ADMINISTRATORS = (1, 5, (32, 544))  # S-1-5-32-544
_USERS = (1, 5, (32, 545))  # S-1-5-32-545
_CREATOR = (1, 3, (0,))  # S-1-3-0
_Sid = tuple[int, int, tuple[int, ...]]
_ALL, _READ, _GENERIC_ALL = 0x1F01FF, 0x1200A9, 0x10000000
_ADD_FILE, _ADD_FOLDER = 0x2, 0x4
_INHERITED_BY_FILES, _BY_FOLDERS, _NOT_ITSELF = 1, 2, 8


def moved(path: str, node: Node) -> tuple[str, Node]:
    """Where a member of a plain layer is in a Windows layer, and what it is there: links change with their targets."""
    if not node.link:
        return FILES + path, node
    link = FILES + node.link
    return FILES + path, Node(
        node.kind, node.mode, node.uid, node.gid, node.mtime, node.size, link, node.device, node.xattrs, node.type
    )


def bits(node: Node) -> int:
    """What is set in a header's mode beside the permissions."""
    return _BITS.get(node.kind, 0)


def records(node: Node, *, secured: bool = True) -> Mapping[str, bytes]:
    """The pax records of one member; the layer's own folders have no security descriptor."""
    found: dict[str, bytes] = {"LIBARCHIVE.creationtime": b"%d.0" % (node.mtime // SECOND)}
    if node.kind in _ATTRIBUTES:
        found["MSWINDOWS.fileattr"] = _ATTRIBUTES[node.kind]
        if secured:
            found["MSWINDOWS.rawsd"] = _DESCRIPTORS[node.kind]
    return found


def _descriptor(*entries: tuple[int, int, _Sid]) -> bytes:
    """A self-relative security descriptor with a list of access rights, owned by the administrators, in base64.

    Source: [MS-DTYP], sections 2.4.6 (SECURITY_DESCRIPTOR), 2.4.5 (ACL), 2.4.4.2 (ACCESS_ALLOWED_ACE), 2.4.2.2 (SID).
    """
    owner, group = _sid(_ADMINISTRATORS), _sid(_SYSTEM)
    rights = b""
    for flags, mask, who in entries:
        sid = _sid(who)
        rights += bytes([0, flags]) + (8 + len(sid)).to_bytes(2, "little") + mask.to_bytes(4, "little") + sid
    acl = b"\x02\0" + (8 + len(rights)).to_bytes(2, "little") + len(entries).to_bytes(4, "little") + rights
    at_owner = 20
    at_group = at_owner + len(owner)
    offsets = (at_owner, at_group, 0, at_group + len(group))
    head = b"\x01\0\x04\x80" + b"".join(offset.to_bytes(4, "little") for offset in offsets)
    return base64.b64encode(head + owner + group + acl)


def _sid(sid: _Sid) -> bytes:
    revision, authority, parts = sid
    return (
        bytes([revision, len(parts)])
        + authority.to_bytes(6, "big")
        + b"".join(part.to_bytes(4, "little") for part in parts)
    )


_BOTH = _INHERITED_BY_FILES | _BY_FOLDERS
_DESCRIPTORS = {
    Kind.FOLDER: _descriptor(
        (_BOTH, _ALL, _ADMINISTRATORS),
        (_BOTH, _ALL, _SYSTEM),
        (0, _ALL, _ADMINISTRATORS),
        (_BOTH | _NOT_ITSELF, _GENERIC_ALL, _CREATOR),
        (_BOTH, _READ, _USERS),
        (_BY_FOLDERS, _ADD_FOLDER, _USERS),
        (_BY_FOLDERS, _ADD_FILE, _USERS),
    ),
    Kind.FILE: _descriptor((0, _ALL, _ADMINISTRATORS), (0, _ALL, _SYSTEM), (0, _READ, _USERS)),
}
