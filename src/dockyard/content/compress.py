"""Compression: what a stream is compressed with, and plain bytes out of it. What we compress, ``frames`` makes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import zstandard
from isal import igzip, igzip_lib, isal_zlib

from dockyard.content.protocols import CHUNK
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from typing import Any, BinaryIO

_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
_FRAME = int.from_bytes(_MAGIC[1][0], "little")
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)  # zstd's frames without data, RFC 8878, section 3.1.2
HEAD = 6
"""Bytes from which :func:`compression` can tell."""
MAX_WINDOW = 128 * 1024 * 1024
"""Bytes of memory that a zstd stream may ask for: what ``zstd --long`` makes by default needs this."""
_BROKEN = cast(
    "tuple[type[Exception], ...]",
    (EOFError, igzip.BadGzipFile, igzip_lib.error, isal_zlib.error, zstandard.ZstdError),
)
BOMB_FROM = 1024 * CHUNK
BOMB_RATIO = 250
"""Above 1 GiB, content that grew by more than this is refused: an attack, as no image compresses so well."""


def compression(head: bytes) -> str:
    """What a stream that begins with ``head`` is compressed with: gzip, zstd, bzip2, xz, or ``""``."""
    if len(head) >= 4 and int.from_bytes(head[:4], "little") in _SKIPPABLE:
        return "zstd"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


class Plain:
    """The plain bytes of a stream that may be compressed with gzip or zstd: read it like a file. For plain functions.

    ArchiveInvalid where the compressed data is broken, cut short or a bomb, or of another kind.
    """

    def __init__(self, file: BinaryIO, *, what: str = "the archive") -> None:
        self._raw = _Watched(file)
        self._what, self._out = what, 0
        self.compression = compression(self._raw.peek(HEAD))
        if self.compression == "gzip":
            self._file: Any = igzip.IGzipFile(fileobj=self._raw, mode="rb")  # type: ignore[no-untyped-call]
        elif self.compression == "zstd":
            self._raw.frames = _Frames()
            reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
            self._file = reader.stream_reader(cast("BinaryIO", self._raw), read_across_frames=True)
        elif self.compression:
            kind = self.compression
            raise ArchiveInvalid(f"{what} is compressed with {kind}", hint=f"Unpack it first, with '{kind} -dc'.")
        else:
            self._file = self._raw

    def read(self, size: int = CHUNK) -> bytes:
        """Read up to ``size`` bytes, none at the end."""
        if not self.compression:
            return self._raw.read(size)
        try:
            piece: bytes = self._file.read(size)
        except _BROKEN as error:
            raise ArchiveInvalid(f"{self._what} has broken {self.compression} data: {error}") from None
        self._out += len(piece)
        if self._out > BOMB_FROM and self._out > BOMB_RATIO * self._raw.count:
            raise ArchiveInvalid(f"{self._what} unpacks to more than {BOMB_RATIO} times its size: refused")
        if not piece and size and self._raw.frames and not self._raw.frames.complete:
            raise ArchiveInvalid(f"{self._what} has broken zstd data: it is cut short")
        return piece


class _Watched(io.RawIOBase):
    """A file whose beginning can be looked at, and that counts the bytes read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = b""
        self.count = 0
        self.frames: _Frames | None = None

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (more := self._file.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._ahead and size >= 0:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            piece, self._ahead = self._ahead + self._file.read(size), b""
        self.count += len(piece)
        if self.frames:
            self.frames.feed(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class _Frames:
    """Follows zstd's frames to tell whether the last one is whole, which its reader does not say.

    Source: RFC 8878, sections 3.1.1 and 3.1.2.
    """

    def __init__(self) -> None:
        self._held = b""
        self._skip = 0
        self._next = self._magic
        self._checksum = 0

    @property
    def complete(self) -> bool:
        """Whether a frame may begin, or the stream end, here."""
        return self._next == self._magic and not self._held and not self._skip

    def feed(self, data: bytes) -> None:
        """Go over the next bytes."""
        position = min(self._skip, len(data))
        self._skip -= position
        while position < len(data):
            wanted = self._WIDTH[self._next.__name__]
            piece = data[position : position + wanted - len(self._held)]
            self._held, position = self._held + piece, position + len(piece)
            if len(self._held) == wanted:
                held, self._held = self._held, b""
                step = self._next(held)
                moved = min(step, len(data) - position)
                self._skip, position = step - moved, position + moved

    def _magic(self, held: bytes) -> int:
        number = int.from_bytes(held, "little")
        if number in _SKIPPABLE:
            self._next = self._length
        elif number == _FRAME:
            self._next = self._descriptor
        return 0  # anything else is the reader's to refuse

    def _length(self, held: bytes) -> int:
        self._next = self._magic
        return int.from_bytes(held, "little")

    def _descriptor(self, held: bytes) -> int:
        (flags,) = held
        single = flags >> 5 & 1
        self._checksum = 4 * (flags >> 2 & 1)
        self._next = self._block
        content_size = (single, 2, 4, 8)[flags >> 6]
        return (1 - single) + (0, 1, 2, 4)[flags & 3] + content_size

    def _block(self, held: bytes) -> int:
        number = int.from_bytes(held, "little")
        last, kind, size = number & 1, number >> 1 & 3, number >> 3
        if last:
            self._next = self._magic
        return (1 if kind == 1 else size) + (self._checksum if last else 0)

    _WIDTH = {"_magic": 4, "_length": 4, "_descriptor": 1, "_block": 3}  # noqa: RUF012
