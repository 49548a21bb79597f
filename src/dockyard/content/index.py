"""What is in a layer, without its bytes: kept beside layers, so that nobody needs to unpack them to look.

A saved index is one zstd frame of msgpack columns, a small part of what its entries take in memory. It is a cache: one
that can't be read, or is another version's, is made anew from the layer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import msgspec
import zstandard

from dockyard.content.compress import Plain
from dockyard.content.folders import storage_errors
from dockyard.content.layers import MAX_TEXT, TEXTS, Entry
from dockyard.content.protocols import CHUNK
from dockyard.content.tar import Kind, TarReader, normal
from dockyard.content.tar_writer import FLAGS
from dockyard.content.trees import Node
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO, Self

    from dockyard.content.tar import Member

MAX_ENTRIES = 5_000_000
_VERSION = 1
_KINDS = tuple(Kind)
_PLACES = {kind: number for number, kind in enumerate(_KINDS)}
_MAX_SAVED = 4 * 1024 * CHUNK


class _Columns(msgspec.Struct, array_like=True, frozen=True):
    """An index as it is saved. Names are bytes with zeros between them; what few entries have is kept by place."""

    version: int
    paths: bytes
    kinds: bytes
    flags: bytes
    modes: list[int]
    owners: list[int]
    groups: list[int]
    times: list[int]
    sizes: list[int]
    links: bytes
    devices: dict[int, tuple[int, int]]
    xattrs: dict[int, list[tuple[bytes, bytes]]]
    texts: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class LayerIndex:
    """The entries of a layer in their order, whiteouts as the files that they are, and the content of ``TEXTS``."""

    entries: Sequence[Entry]
    texts: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def scan(cls, blob: Path) -> Self:
        """Read a layer, compressed or not, to the end of its tar. ArchiveInvalid, Unavailable."""
        entries: list[Entry] = []
        texts: dict[str, bytes] = {}
        with storage_errors(blob), blob.open("rb") as file:
            reader = TarReader(cast("BinaryIO", Plain(file, what=blob.name)), what=blob.name)
            while member := reader.next():
                if len(entries) == MAX_ENTRIES:
                    raise ArchiveInvalid(f"{blob.name} has more than {MAX_ENTRIES} members")
                entry = _entry(member)
                entries.append(entry)
                if entry.path in TEXTS:
                    texts.pop(entry.path, None)  # the last one counts
                    if member.kind is Kind.FILE and member.holes is None and member.size <= MAX_TEXT:
                        texts[entry.path] = b"".join(iter(reader.read, b""))
        return cls(entries, texts)

    def save(self, path: Path) -> None:
        """Write it, at once or not at all. Full, Unavailable."""
        nodes = [entry.node for entry in self.entries]
        columns = _Columns(
            _VERSION,
            "\0".join(entry.path for entry in self.entries).encode(errors="surrogateescape"),
            bytes(_PLACES[node.kind] for node in nodes),
            b"".join(node.type for node in nodes),
            [node.mode for node in nodes],
            [node.uid for node in nodes],
            [node.gid for node in nodes],
            [node.mtime for node in nodes],
            [node.size for node in nodes],
            "\0".join(node.link for node in nodes).encode(errors="surrogateescape"),
            {place: node.device for place, node in enumerate(nodes) if node.device != (0, 0)},
            {place: _pairs(node.xattrs) for place, node in enumerate(nodes) if node.xattrs},
            dict(self.texts),
        )
        raw = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(msgspec.msgpack.encode(columns))
        beside = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
        with storage_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(raw)
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read a saved index; ``None`` where there is none that can be read."""
        try:
            raw = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=_MAX_SAVED)
            return cls._of(msgspec.msgpack.decode(raw, type=_Columns))
        except (OSError, ValueError, IndexError, zstandard.ZstdError, msgspec.MsgspecError):
            return None

    @classmethod
    def _of(cls, columns: _Columns) -> Self:
        if columns.version != _VERSION:
            raise ValueError
        count = len(columns.kinds)
        paths = columns.paths.decode(errors="surrogateescape").split("\0") if count else []
        links = columns.links.decode(errors="surrogateescape").split("\0") if count else []
        kinds = [_KINDS[place] for place in columns.kinds]
        flags = [columns.flags[place : place + 1] for place in range(count)]
        devices, xattrs, none, nothing = columns.devices, columns.xattrs, (0, 0), dict[str, bytes]()
        rows = zip(
            range(count), kinds, columns.modes, columns.owners, columns.groups, columns.times, columns.sizes, links,
            flags, strict=True,
        )  # fmt: skip
        nodes = [
            Node(
                kind, mode, uid, gid, mtime, size, link, devices.get(place, none),
                _mapping(xattrs[place]) if place in xattrs else nothing, flag,
            )
            for place, kind, mode, uid, gid, mtime, size, link, flag in rows
        ]  # fmt: skip
        return cls([Entry(path, node) for path, node in zip(paths, nodes, strict=True)], columns.texts)


def _entry(member: Member) -> Entry:
    link = normal(member.link) if member.kind is Kind.HARDLINK else member.link
    node = Node(
        member.kind, member.mode, member.uid, member.gid, member.mtime,
        member.size if member.holes is None else member.full_size,
        link if member.kind in (Kind.HARDLINK, Kind.SYMLINK) else "",
        member.device, member.xattrs, FLAGS.get(member.kind, member.type),
    )  # fmt: skip
    return Entry(normal(member.name), node)


def _pairs(xattrs: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
    return [(key.encode(errors="surrogateescape"), value) for key, value in sorted(xattrs.items())]


def _mapping(pairs: list[tuple[bytes, bytes]]) -> Mapping[str, bytes]:
    return {key.decode(errors="surrogateescape"): value for key, value in pairs}
