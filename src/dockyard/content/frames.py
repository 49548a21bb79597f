"""Compression in frames: pieces that are compressed apart, so that what is new in a layer can be told from what isn't.

A blob of frames is one plain gzip or zstd stream to everybody else. For gzip a frame is a member (RFC 1952, section
2.2) made by isal at level 2, without name and time, whose header carries an extra field: the two letters ``DY`` and
4 bytes, the member's compressed length. For zstd it is a frame with content size and checksum; the table of all stands
at the end in a frame that others skip, in the form that zstd's own "seekable format" gives it.

Where frames begin follows from the members of the tar. A new one begins where a hash of the next member's path says so,
once the frame has a quarter of ``TARGET``: as likely as that member is long, so that frames have ``TARGET`` bytes of
tar in the mean whatever the files' sizes. Files of ``TARGET`` and more begin a frame, and are cut each ``TARGET`` bytes
from their start. So a changed file changes the frame that it is in, and hardly another.

The same input gives the same bytes, however many threads make them: with zstd on every machine, with gzip on machines
of one processor family.

Sources: RFC 1952, section 2.3.1.1; RFC 8878, section 3.1.2; zstd, ``contrib/seekable_format``.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import zstandard
from isal import igzip_lib
from isal.isal_zlib import crc32

from dockyard.content.frame_format import gzip_head, seek_table
from dockyard.content.known_frames import DAMAGED, FINGERPRINT, MadeFrame
from dockyard.errors import Conflict, DigestInvalid
from dockyard.oci.digest import Hasher

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any, BinaryIO, Literal, Self

    from dockyard.content.known_frames import KnownFrames, Lazy
    from dockyard.oci.digest import Digest

    Compression = Literal["gzip", "zstd"]

TARGET = 256 * 1024
"""Bytes of tar that a frame has in the mean, and of a big file's content that is in one frame."""
MOST = 3 * TARGET // 2
"""Bytes of tar that no frame exceeds. What is written without a word on members is cut at this."""
ZSTD_LEVEL = 3
_LEAST = TARGET // 4
_SPREAD = TARGET - _LEAST  # so many bytes follow in the mean until a path's hash says stop
_FEW = 4  # files that are opened and read in less time than a frame is uncompressed
_BROKEN = (cast("type[Exception]", igzip_lib.IsalError), zstandard.ZstdError, EOFError, OSError)


class Frames:
    """Compresses what is written, by several threads. ``sink`` gets the pieces in order, in a thread of ours.

    Use it in a ``with``; what went wrong in a thread is raised by the call after it, or by ``finish``. ``size`` counts
    the plain bytes. At most a few frames for each thread are in memory. Frames that are ``known`` are taken as they
    are, and what would go into them is not read; ``made`` is what may be known of this layer afterwards.
    """

    def __init__(
        self, sink: Callable[[bytes], object], compression: Compression = "gzip", *, threads: int = 0,
        algorithm: str = "sha256", known: KnownFrames | None = None,
    ) -> None:  # fmt: skip
        count = threads or os.cpu_count() or 1
        self.size = 0
        self._sink, self._compression = sink, compression
        zstd = _Zstd()
        self._compress: Callable[[memoryview], bytes] = _gzip_member if compression == "gzip" else zstd.frame
        self._decompress = _gzip_plain if compression == "gzip" else zstd.plain
        # Hashing what goes in and taking what comes out are each one's work after the other, side by side.
        self._workers, self._last = ThreadPoolExecutor(count, "compress"), ThreadPoolExecutor(1, "frames")
        self._out = ThreadPoolExecutor(1, "sink")
        self._at_most = 2 * count + 2
        self._waiting: deque[tuple[bytearray, Future[Future[object]]]] = deque()
        self._spare: list[bytearray] = []
        self._hasher = Hasher(algorithm)
        self._table: list[tuple[int, int]] = []
        self._length, self._limit = 0, MOST
        self._known = known
        # How many frames from the beginning are those of the known layer; -1 once one is not, or where that is no help.
        self._same = 0 if known and known.order and Hasher.load(algorithm, known.order[0].state) else -1
        self._parts: list[bytes | memoryview | _Part] = []
        self._opened: tuple[Lazy, BinaryIO] | None = None
        self.made: list[MadeFrame] = []
        self._take_buffer()

    @property
    def diff_id(self) -> Digest:
        """The digest of the plain bytes; after ``finish``."""
        return self._hasher.digest()

    def begin(self, path: bytes, head: int, size: int) -> None:
        """A member of a tar comes next, ``head`` bytes of headers and ``size`` of content: maybe a frame ends here."""
        total = head + size
        if size >= TARGET:
            self._cut()
            self._limit = min(head + TARGET, MOST)
            return
        at_hash = self._length >= _LEAST and zlib.crc32(path) * _SPREAD < total << 32
        if at_hash or self._length + total > MOST:
            self._cut()
        self._limit = MOST

    def write(self, data: bytes) -> None:
        """Take plain bytes."""
        if len(data) <= self._limit - self._length:
            end = self._length + len(data)
            if self._known is None:
                self._buffer[self._length : end] = data
            else:
                self._parts.append(data)
            self._length = end
            return
        view = memoryview(data)
        while view:
            room = self._room()
            self.write(bytes(view[:room]))
            view = view[room:]

    def take(self, content: Lazy, size: int, *, what: str) -> None:
        """Take a file of ``size`` bytes, which is read only where it comes into a frame that is not known."""
        if self._known is None:
            with content.open() as file:
                self.copy(file, size, what=what)
            return
        start = 0
        while start < size:
            count = min(self._room(), size - start)
            self._parts.append(_Part(content, start, count, start + count == size, what))
            self._length, start = self._length + count, start + count

    def copy(self, file: BinaryIO, size: int, *, what: str) -> None:
        """Take ``size`` bytes from ``file``, which ends then. Conflict that names ``what`` unless it has just that."""
        if self._known is not None:
            self._fill()
        left = size
        # The buffer has one byte more than a frame: what a file has beyond its size shows in the same read.
        while left:
            room = self._room()
            wanted = left + 1 if left <= room else room
            count = _read(file, self._view[self._length : self._length + wanted])
            if count > left or not count:
                raise _changed(what)
            self._length, left = self._length + count, left - count
            self._filled = self._length
            if not left and count < wanted and _is_file(file):
                return  # a file that gives less than it was asked for has no more
        if _read(file, memoryview(bytearray(1))):
            raise _changed(what)

    def finish(self) -> None:
        """Compress what is left; of nothing at all comes one empty frame."""
        if self._length or not (self.size or self._waiting):
            self._submit()
        while self._waiting:
            self._drain()
        if self._known and self._same > 0:
            state = self._known.order[self._same - 1].state
            self._hasher = Hasher.load(self._hasher.algorithm, state) or self._hasher
        if self._compression == "zstd":
            self._sink(seek_table(self._table))

    def _room(self) -> int:
        if self._length >= self._limit:
            self._cut()
            self._limit = TARGET if self._limit < MOST else MOST
        return self._limit - self._length

    def _cut(self) -> None:
        if self._length:
            self._submit()

    def _submit(self) -> None:
        fingerprint, place = self._look_up()
        plain = self._view[: self._length]
        self.size += self._length
        state = b""
        if self._known and self._same >= 0:
            if place == self._same:
                self._same += 1
            else:  # from here on the plain bytes are needed: the hash goes on behind what was the same
                state = self._known.order[self._same - 1].state if self._same else b""
                self._same = -1
        if place is None:
            self._fill()
            work = partial(self._make, plain)
        elif self._same < 0 and self._reads_quickly():
            self._fill()
            work = partial(self._again_or_make, place, plain)
        else:
            self._parts.clear()
            work = partial(self._again, place, len(plain), self._same < 0)
        made = self._workers.submit(work)
        self._waiting.append((self._buffer, self._last.submit(self._pass_on, len(plain), made, fingerprint, state)))
        # No more than the threads can work on: memory stays flat however fast the source is.
        while len(self._waiting) > self._at_most or (self._waiting and self._waiting[0][1].done()):
            self._drain()
        self._take_buffer()

    def _look_up(self) -> tuple[bytes, int | None]:
        """The fingerprint of the frame that ends here, and its place among the known ones where it is one."""
        # A frame with content that was copied has no name: only what is in parts would be in it.
        if self._known is None or not self._parts or self._filled:
            return b"", None
        hasher = hashlib.blake2b(digest_size=FINGERPRINT)
        for part in self._parts:
            # Lengths keep two lists of parts from reading as the same bytes.
            if isinstance(part, _Part):
                hasher.update(b"%b file %d %d " % (part.content.digest, part.start, part.count))
            else:
                hasher.update(b"%d bytes " % len(part))
                hasher.update(part)
        fingerprint = hasher.digest()
        return fingerprint, self._known.find(fingerprint, self._length)

    def _reads_quickly(self) -> bool:
        """Whether the plain bytes are had sooner from the files than from the frame: where they are of one big file."""
        files = sum(isinstance(part, _Part) for part in self._parts)
        return self._compression == "gzip" and files <= _FEW

    def _fill(self) -> None:
        """Bring the parts of the frame into the buffer, reading what of them is in files."""
        at = self._filled
        for part in self._parts:
            if isinstance(part, _Part):
                self._read_part(part, at)
                at += part.count
            else:
                self._buffer[at : at + len(part)] = part
                at += len(part)
        self._parts.clear()
        self._filled = at

    def _read_part(self, part: _Part, at: int) -> None:
        if self._opened is None or self._opened[0] is not part.content:
            self._close()
            self._opened = part.content, part.content.open()
        file = self._opened[1]
        if part.start:
            file.seek(part.start)
        # The buffer has a byte more than a frame: what a file has beyond its size shows in the same read.
        wanted, end = part.count + part.last, at + part.count
        count = _read(file, self._view[at : at + wanted])
        while at + count < end and (more := _read(file, self._view[at + count : at + wanted])):
            count += more
        if count != part.count:
            raise _changed(part.what)
        if part.last:
            self._close()

    def _close(self) -> None:
        if self._opened:
            self._opened[1].close()
            self._opened = None

    def _make(self, plain: memoryview) -> tuple[bytes, bytes | memoryview | None]:
        return self._compress(plain), plain

    def _again_or_make(self, place: int, plain: memoryview) -> tuple[bytes, bytes | memoryview | None]:
        """A frame as it was made before, if the plain bytes that were read are those in it; else one of them."""
        assert self._known  # noqa: S101 - it has the place
        frame = self._known.read(place)
        return (frame if int.from_bytes(frame[-8:-4], "little") == crc32(plain) else self._compress(plain)), plain

    def _again(self, place: int, size: int, plain: bool) -> tuple[bytes, bytes | memoryview | None]:
        """A frame as it was made before; with ``plain`` also its plain bytes, which come from it."""
        assert self._known  # noqa: S101 - it has the place
        frame = self._known.read(place)
        if not plain:
            return frame, None
        try:
            found = self._decompress(frame, size)
        except _BROKEN as error:
            raise DigestInvalid(f"a layer in the store is damaged: {error}", hint=DAMAGED) from None
        if len(found) != size:
            raise DigestInvalid("a layer in the store is damaged: a frame has another length", hint=DAMAGED)
        return frame, found

    def _pass_on(
        self, size: int, made: Future[tuple[bytes, bytes | memoryview | None]], fingerprint: bytes, state: bytes
    ) -> Future[object]:
        frame, plain = made.result()
        if state:
            self._hasher = Hasher.load(self._hasher.algorithm, state) or self._hasher
        if plain is not None:
            self._hasher.update(plain)
        if self._known is not None:
            # Behind frames that are the same as before, so is the hash.
            after = self._hasher.save() or b"" if plain is not None else self._known.order[len(self.made)].state
            self.made.append(MadeFrame(fingerprint, len(frame), size, crc32(frame), after))
        self._table.append((len(frame), size))
        return self._out.submit(self._sink, frame)

    def _drain(self) -> None:
        buffer, done = self._waiting.popleft()
        done.result().result()
        self._spare.append(buffer)

    def _take_buffer(self) -> None:
        self._buffer = self._spare.pop() if self._spare else bytearray(MOST + 1)
        self._view = memoryview(self._buffer)
        self._length = self._filled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self._workers.shutdown(cancel_futures=True)
        self._last.shutdown(cancel_futures=True)
        self._out.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """``count`` bytes of a file from ``start`` on; ``last`` where they are its end."""

    content: Lazy
    start: int
    count: int
    last: bool
    what: str


def _gzip_member(plain: memoryview) -> bytes:
    made: bytes = igzip_lib.compress(plain, 2, flag=igzip_lib.COMP_GZIP_NO_HDR)
    return gzip_head(len(made)) + made


def _gzip_plain(frame: bytes, size: int) -> bytes:
    made: bytes = igzip_lib.decompress(frame, flag=igzip_lib.DECOMP_GZIP, bufsize=max(size, 1))
    return made


class _Zstd:
    """zstd for many threads: each has a compressor of its own, kept from frame to frame."""

    def __init__(self) -> None:
        self._own = threading.local()

    def frame(self, plain: memoryview) -> bytes:
        if not hasattr(self._own, "compressor"):
            self._own.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        made: bytes = self._own.compressor.compress(plain)
        return made

    def plain(self, frame: bytes, size: int) -> bytes:
        made: bytes = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
        return made


def _read(file: BinaryIO, into: memoryview) -> int:
    readinto: Callable[[Any], int] | None = getattr(file, "readinto", None)
    if readinto:
        count: int | None = readinto(into)
        return count or 0
    piece = file.read(len(into))
    into[: len(piece)] = piece
    return len(piece)


def _is_file(file: BinaryIO) -> bool:
    return isinstance(file, io.FileIO | io.BufferedReader | io.BytesIO)


def _changed(what: str) -> Conflict:
    return Conflict(f"{what} changed while it was read", hint="Build again once nothing writes there.")
