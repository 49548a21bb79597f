"""Plain bytes of files that people compress in any usual way: what ADD unpacks, and contexts that are archives.

Besides gzip and zstd, which :class:`~dockyard.content.compress.Plain` reads, these are bzip2 and xz, by the standard
library: no program of the image or of this machine is run.
"""

from __future__ import annotations

import bz2
import lzma
from typing import TYPE_CHECKING

from dockyard.content.compress import BOMB_FROM, BOMB_RATIO, HEAD, Plain, compression
from dockyard.content.protocols import CHUNK
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

MAX_MEMORY = 256 * 1024 * 1024
"""Bytes that an xz stream may ask for: what ``xz -9`` makes needs 65 MiB."""


def decompressed(file: BinaryIO, *, what: str = "the archive") -> Plain | Streams:
    """The plain bytes of a seekable file from its beginning on, whatever it is compressed with.

    Reading raises ArchiveInvalid where the data is broken, cut short, or a bomb.
    """
    file.seek(0)
    kind = compression(file.read(HEAD))
    file.seek(0)
    if kind == "bzip2":
        return Streams(file, bz2.BZ2Decompressor, what)
    if kind == "xz":
        return Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY), what)
    return Plain(file, what=what)


class Streams:
    """One or several bzip2 or xz streams in a row, read like a file."""

    def __init__(
        self, file: BinaryIO, make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor], what: str
    ) -> None:
        self._file, self._make, self._what = file, make, what
        self._decompressor = make()
        self._in = self._out = 0
        self._ahead = b""

    def read(self, size: int = CHUNK) -> bytes:
        """Read up to ``size`` bytes, none at the end."""
        while size:
            if self._decompressor.eof:
                # xz files may be filled up with zeros between streams and at the end.
                self._ahead = (self._decompressor.unused_data + self._ahead).lstrip(b"\0") or self._more().lstrip(b"\0")
                if not self._ahead:
                    return b""
                self._decompressor = self._make()
            if self._decompressor.needs_input and not self._ahead and not (self._more_ahead()):
                raise ArchiveInvalid(f"{self._what} has broken compressed data: it is cut short")
            try:
                piece = self._decompressor.decompress(self._ahead, size)
            except (OSError, lzma.LZMAError, ValueError, EOFError) as error:
                raise ArchiveInvalid(f"{self._what} has broken compressed data: {error}") from None
            self._ahead = b""
            if piece:
                self._out += len(piece)
                if self._out > BOMB_FROM and self._out > BOMB_RATIO * self._in:
                    raise ArchiveInvalid(f"{self._what} unpacks to more than {BOMB_RATIO} times its size: refused")
                return piece
        return b""

    def _more_ahead(self) -> bool:
        self._ahead = self._more()
        return bool(self._ahead)

    def _more(self) -> bytes:
        piece = self._file.read(CHUNK // 4)
        self._in += len(piece)
        return piece
