"""Layers, written: entries in the caller's order become a tar, compressed in frames, whose digests come with it.

The bytes depend on the entries alone. Times are whole seconds, as docker keeps them in layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content import windows as windows_layout
from dockyard.content.frames import Frames
from dockyard.content.known_frames import Lazy
from dockyard.content.tar import BLOCK, Kind
from dockyard.content.tar_headers import SECOND
from dockyard.content.tar_writer import END, FLAGS, header
from dockyard.content.trees import Node
from dockyard.errors import Conflict
from dockyard.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO, Self

    from dockyard.content.files import NewBlob
    from dockyard.content.frames import Compression
    from dockyard.content.known_frames import KnownFrames, MadeFrame
    from dockyard.oci.digest import Digest

TEXTS = ("etc/passwd", "etc/group")
"""Files whose content is kept beside a layer's entries: users are looked up in them."""
MAX_TEXT = 1024 * 1024
_MEDIA_TYPES = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD}


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer. The path has no slash at its ends; whiteouts are files called ``.wh.…``."""

    path: str
    node: Node


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that was written: what names it, and what is in it.

    ``unpacked_size`` is the tar's, in bytes; ``newest`` the largest time in it, in seconds, 0 where it is empty.
    """

    digest: Digest
    size: int
    media_type: str
    diff_id: Digest
    unpacked_size: int
    newest: int
    index: list[Entry]
    texts: Mapping[str, bytes]
    frames: Sequence[MadeFrame]  # as far as they may be known from now on


class LayerWriter:
    """Writes one layer into a new blob, which the caller commits. Use it in a ``with``, inside the blob's own.

    No time is after ``clamp`` (seconds). With ``windows`` the layer has the layout of Windows' layers, whose two
    first folders get the time ``implied`` (seconds).
    """

    def __init__(
        self, blob: NewBlob, compression: Compression = "gzip", *, threads: int = 0, clamp: int | None = None,
        windows: bool = False, implied: int = 0, known: KnownFrames | None = None,
    ) -> None:  # fmt: skip
        self._blob, self._compression = blob, compression
        self._clamp = None if clamp is None else clamp * SECOND
        self._windows = windows
        self._index: list[Entry] = []
        self._texts: dict[str, bytes] = {}
        self._frames = Frames(blob.write, compression, threads=threads, known=known)
        if windows:
            for name in windows_layout.FOLDERS:
                node = self._written(Node(Kind.FOLDER, 0, mtime=implied * SECOND))
                records = windows_layout.records(node, secured=False)
                self._put(name, node, records, windows_layout.bits(node), slash=False)

    def add(self, entry: Entry, data: BinaryIO | bytes | Lazy | None = None) -> None:
        """Add a member; a file's content is read from ``data`` up to its end, and must have the node's size.

        What is :class:`~dockyard.content.known_frames.Lazy` is read only where it comes into a frame that is not known.

        Conflict where it has another; Full, Unavailable; Unsupported where a tar can't hold what the node says.
        """
        path, node = entry.path, self._written(entry.node)
        if self._windows:
            path, node = windows_layout.moved(path, node)
            self._put(path, node, windows_layout.records(node), windows_layout.bits(node))
        else:
            self._put(path, node)
        if path in TEXTS:
            self._texts.pop(path, None)  # the last one counts
        if node.kind is not Kind.FILE:
            return
        if path in TEXTS and data is not None and not isinstance(data, bytes) and node.size <= MAX_TEXT:
            file = data.open() if isinstance(data, Lazy) else data
            data = file.read(node.size + 1)
        if isinstance(data, bytes) or data is None:
            content = data or b""
            if len(content) != node.size:
                raise Conflict(f"{entry.path} changed while it was read", hint="Build again once nothing writes there.")
            if path in TEXTS:
                self._texts[path] = content
            self._frames.write(content)
        elif isinstance(data, Lazy):
            self._frames.take(data, node.size, what=entry.path)
        else:
            self._frames.copy(data, node.size, what=entry.path)
        if fill := -node.size % BLOCK:
            self._frames.write(bytes(fill))

    def finish(self) -> Layer:
        """End the layer and say what it is; the blob has all of it then, and may be committed."""
        self._frames.write(END)
        self._frames.finish()
        newest = max((entry.node.mtime for entry in self._index), default=0)
        return Layer(
            self._blob.digest, self._blob.size, _MEDIA_TYPES[self._compression], self._frames.diff_id,
            self._frames.size, max(0, newest // SECOND), self._index, self._texts, self._frames.made,
        )  # fmt: skip

    def _put(
        self, path: str, node: Node, records: Mapping[str, bytes] | None = None, bits: int = 0, *, slash: bool = True
    ) -> None:
        head = header(path, node, records=records, bits=bits, slash=slash)
        self._frames.begin(path.encode(errors="surrogateescape"), len(head), node.size)
        self._frames.write(head)
        self._index.append(Entry(path, node))

    def _written(self, node: Node) -> Node:
        """The node as the layer has it: its time in whole seconds and not after the clamp, no size but a file's."""
        mtime = node.mtime - node.mtime % SECOND
        if self._clamp is not None and mtime > self._clamp:
            mtime = self._clamp
        # Not replace(), which takes three times as long: this is done for each file.
        return Node(
            node.kind, node.mode & 0o7777, node.uid, node.gid, mtime, node.size if node.kind is Kind.FILE else 0,
            node.link, node.device, node.xattrs, FLAGS.get(node.kind, node.type),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.__exit__()
