"""Frames of earlier layers, to be used again where a new layer would have the same: not read, not compressed anew.

A frame's fingerprint is a hash over what goes into it: the headers of its members, and for their content the digests
of whole files with the part that is in the frame. A layer's fingerprints are kept in a small file beside the store,
which may be lost: then everything is read and compressed. What comes out is the same to the byte in any case.

With each frame the state of the diff ID's hash behind it is kept. As long as a new layer has the same frames as the
old one from its beginning, the plain bytes are not even looked at.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isal.isal_zlib import crc32

from dockyard.content.folders import storage_errors
from dockyard.errors import DigestInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO, Self

FINGERPRINT = 16
"""Bytes of a fingerprint."""
DAMAGED = "Remove the build cache with 'dockyard builder prune --all', and build again. The disk may be failing."
"""What to do about a damaged layer."""
_ROW = struct.Struct(f"<{FINGERPRINT}sIII")
_HEAD = struct.Struct("<16sH")
_MAGIC = b"dockyard frames2"


@dataclass(frozen=True, slots=True)
class Lazy:
    """A file's content that is read where it is new only. ``digest`` tells it from any other; ``open`` is seekable."""

    open: Callable[[], BinaryIO]
    digest: bytes


@dataclass(frozen=True, slots=True)
class MadeFrame:
    """A frame of a layer: its fingerprint, its compressed and its plain length in bytes, the CRC-32 of its bytes.

    ``state`` is that of the hash over all plain bytes up to its end, empty where it can't be saved.
    """

    fingerprint: bytes
    size: int
    plain: int
    crc: int
    state: bytes = b""


@dataclass
class KnownFrames:
    """The frames of one earlier layer, whose blob is open until the ``with`` is left; of none without a file."""

    descriptor: int = -1
    order: list[MadeFrame] = field(default_factory=list)
    offsets: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # fingerprint → offset, place in the order

    @classmethod
    def load(cls, table: Path, blob: Path) -> Self:
        """Read the table of a layer's frames and open its blob; nothing is known where either can't be read."""
        with suppress(OSError, struct.error):
            raw = table.read_bytes()
            magic, length = _HEAD.unpack_from(raw)
            row = struct.Struct(f"{_ROW.format}{length}s")
            if magic == _MAGIC and (len(raw) - _HEAD.size) % row.size == 0:
                order = [MadeFrame(*values) for values in row.iter_unpack(raw[_HEAD.size :])]
                offsets, offset = {}, 0
                for place, frame in enumerate(order):
                    offsets[frame.fingerprint] = offset, place
                    offset += frame.size
                descriptor = os.open(blob, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                return cls(descriptor, order, offsets)
        return cls()

    def find(self, fingerprint: bytes, plain: int) -> int | None:
        """The place in the order of the frame with that fingerprint and plain length."""
        place = self.offsets.get(fingerprint, (0, -1))[1]
        return place if place >= 0 and self.order[place].plain == plain else None

    def read(self, place: int) -> bytes:
        """The compressed frame at a place. DigestInvalid where it is not what it was."""
        frame = self.order[place]
        raw = os.pread(self.descriptor, frame.size, self.offsets[frame.fingerprint][0])
        if len(raw) != frame.size or crc32(raw) != frame.crc:
            raise DigestInvalid("a layer in the store is damaged: a frame is not what was written", hint=DAMAGED)
        return raw

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def save_table(path: Path, frames: Sequence[MadeFrame]) -> None:
    """Write the table of a layer's frames, at once or not at all. Full, Unavailable."""
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            length = min((len(frame.state) for frame in frames), default=0)
            rows = b"".join(
                _ROW.pack(frame.fingerprint, frame.size, frame.plain, frame.crc) + frame.state[:length]
                for frame in frames
            )
            beside.write_bytes(_HEAD.pack(_MAGIC, length) + rows)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
