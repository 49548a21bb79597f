"""Blobs as files of an OCI image layout, taken in piece by piece.

::

    ROOT/blobs/<algorithm>/<hex>      complete, verified and durable
    ROOT/ingest/<algorithm>-<hex>     on its way: one writer at a time holds its lock; the next goes on where it ends
    ROOT/ingest/new-<random>          on its way, its digest not known yet

Source: OCI image specification, ``image-layout.md``, section "Blobs".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from functools import partial
from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors, sync_folder
from dockyard.content.protocols import CHUNK, Outcome
from dockyard.content.streams import closing
from dockyard.errors import BlobUnknown, DigestInvalid, SizeInvalid, TooLarge
from dockyard.oci.digest import Digest, Hasher

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import Any, Self

    from dockyard.content.protocols import Source
    from dockyard.oci.descriptor import Descriptor

_TURN = 0.05  # seconds between two looks at a blob that somebody else is writing


def damaged(path: Path, digest: Digest) -> DigestInvalid:
    """The error for a file whose bytes changed after it was checked, with the way out."""
    return DigestInvalid(
        f"{path} is damaged: its content is not {digest}",
        hint="Remove the images that need it, and pull or load them again. The disk may be failing.",
    )


class BlobFiles:
    """The ``blobs`` folder of one layout, which several processes may read and write at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ingest = root / "ingest"

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be. A digest is valid once it exists, so this can't leave the folder."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def size(self, digest: Digest) -> int | None:
        """Bytes of a blob, ``None`` where it is not here."""
        try:
            return os.stat(self.path(digest), follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is here with the size that it should have; one cut short by others' tools is not."""
        return self.size(blob.digest) == blob.size

    def read(self, digest: Digest, *, limit: int) -> bytes:
        """Return a small blob whole and verified. BlobUnknown; TooLarge over ``limit`` bytes; DigestInvalid."""
        with self._opened(digest) as descriptor:
            if (size := os.fstat(descriptor).st_size) > limit:
                raise TooLarge(f"{digest} has {size} bytes; at most {limit} are read into memory")
            raw = b""
            while piece := os.read(descriptor, size + 1 - len(raw)):
                raw += piece
        if Digest.of(raw, digest.algorithm) != digest:
            raise damaged(self.path(digest), digest)
        return raw

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from ``start`` in pieces of 1 MiB, read off the event loop and one piece ahead."""
        with self._opened(blob.digest) as descriptor:
            async with closing(pieces(descriptor, start)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def put(self, raw: bytes, digest: Digest) -> None:
        """Write small content whose digest was made from it, unless it is here. Full, Unavailable."""
        if self.size(digest) == len(raw):
            return
        with self.create(digest.algorithm) as new:
            new.write(raw)
            new.commit()

    def create(self, algorithm: str = "sha256") -> NewBlob:
        """Begin a blob whose digest nobody knows yet; use it in a ``with``, which drops it unless it is committed."""
        return NewBlob(self, algorithm)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Take a blob from ``source``, from where an earlier try ended. DigestInvalid, SizeInvalid, Full, Unavailable.

        Errors of the source keep what came, for the next try; wrong bytes leave nothing.
        """
        with storage_errors(self.root):
            ours = await self._take(blob)
            if ours is None:
                return Outcome.EXISTED
            with ours:
                await _receive(ours, blob, source)
                return Outcome.WRITTEN

    async def _take(self, blob: Descriptor) -> _Partial | None:
        """Become the one writer of a blob; ``None`` once somebody else has completed it."""
        import asyncio

        self.ingest.mkdir(parents=True, exist_ok=True)
        path = self.ingest / f"{blob.digest.algorithm}-{blob.digest.hex}"
        while not self.has(blob):
            if ours := _Partial.take(path, self):
                if not self.has(blob):
                    return ours
                with ours:
                    ours.drop()
            else:
                await asyncio.sleep(_TURN)
        return None

    @contextlib.contextmanager
    def _opened(self, digest: Digest) -> Iterator[int]:
        with storage_errors(self.root):
            try:
                descriptor = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except (FileNotFoundError, NotADirectoryError):
                raise BlobUnknown(f"blob {digest} is not in {self.root}") from None
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def show(self, beside: Path, digest: Digest) -> None:
        """Give a durable file its name as a blob, durably."""
        path = self.path(digest)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent.parent)
            sync_folder(self.root)
        os.rename(beside, path)
        sync_folder(path.parent)


class NewBlob:
    """A blob on its way whose digest is made as it comes. For plain functions, in one thread at a time."""

    def __init__(self, files: BlobFiles, algorithm: str) -> None:
        self._files = files
        self._path: Path | None = files.ingest / f"new-{os.urandom(8).hex()}"
        with storage_errors(files.root):
            files.ingest.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
            # Who cleans up leaves alone what is locked.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._hasher = Hasher(algorithm)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add bytes. Full, Unavailable."""
        with storage_errors(self._files.root):
            _write_all(self._descriptor, data)
        self._hasher.update(data)
        self.size += len(data)

    @property
    def digest(self) -> Digest:
        """The digest of what came so far."""
        return self._hasher.digest()

    def commit(self) -> Digest:
        """Make it a blob, durably, and return its digest. Once."""
        path, digest = self._path, self.digest
        assert path, "committed before"  # noqa: S101
        with storage_errors(self._files.root):
            os.fsync(self._descriptor)
            self._files.show(path, digest)
        self._path = None
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


class _Partial:
    """The one writer's grip on ``ingest/<algorithm>-<hex>``."""

    def __init__(self, path: Path, descriptor: int, files: BlobFiles) -> None:
        self._path, self._descriptor, self._files = path, descriptor, files
        self._hasher = Hasher()
        self._left = self._shown = False

    @classmethod
    def take(cls, path: Path, files: BlobFiles) -> _Partial | None:
        """Open and lock the file; ``None`` while somebody else writes it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one before us may have renamed or removed what we opened.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return cls(path, descriptor, files)
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def resume(self, blob: Descriptor) -> int:
        """Hash what is here and return its size; what is too long to be the blob's beginning is dropped."""
        self._hasher = Hasher(blob.digest.algorithm)
        size = os.fstat(self._descriptor).st_size
        if size > blob.size:
            os.ftruncate(self._descriptor, 0)
            size = 0
        position = 0
        while position < size and not self._left:
            piece = os.pread(self._descriptor, min(CHUNK, size - position), position)
            self._hasher.update(piece)
            position += len(piece)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        return size

    def append(self, chunk: bytes) -> None:
        """Write and hash a piece at the end."""
        _write_all(self._descriptor, chunk)
        self._hasher.update(chunk)

    def finish(self, blob: Descriptor) -> bool:
        """Show the blob if it is what its digest says; else remove the file's content."""
        if self._hasher.digest() != blob.digest:
            os.ftruncate(self._descriptor, 0)
            return False
        os.fsync(self._descriptor)
        self._files.show(self._path, blob.digest)
        self._shown = True
        return True

    def drop(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let a thread that is still at work end soon."""
        self._left = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._shown and os.fstat(self._descriptor).st_size == 0:
            self.drop()  # nothing to go on from
        os.close(self._descriptor)


async def pieces(descriptor: int, start: int, end: int | None = None) -> AsyncIterator[bytes]:
    """Yield a file's bytes from ``start`` to ``end`` in pieces of 1 MiB, read off the event loop, one piece ahead."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    def read() -> Future[bytes]:
        size = CHUNK if end is None else min(CHUNK, end - start)
        return asyncio.get_running_loop().run_in_executor(thread, os.pread, descriptor, size, start)

    # A thread of its own is done before the file is closed: it can't read what then has the file's number.
    with ThreadPoolExecutor(1, "blob-read") as thread:
        ahead = read()
        while piece := await ahead:
            start += len(piece)
            ahead = read()
            yield piece


async def _receive(ours: _Partial, blob: Descriptor, source: Source) -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    # A thread of its own is done before the file is closed: it can't write into what then has the file's number.
    with ThreadPoolExecutor(1, "blob-write") as thread:
        run = partial(asyncio.get_running_loop().run_in_executor, thread)
        try:
            while True:
                begun = await run(ours.resume, blob)
                end = await _append(ours, blob, source, begun, run) if begun < blob.size else begun
                if end == blob.size and await run(ours.finish, blob):
                    return
                # A power cut may have damaged the first part: then all of it comes once more.
                if begun == 0 or end != blob.size:
                    ours.drop()
                    raise _wrong(blob, end)
        finally:
            ours.leave()


async def _append(ours: _Partial, blob: Descriptor, source: Source, start: int, run: Callable[..., Future[Any]]) -> int:
    """Write what the source has from ``start`` on, one piece behind its reading; return where that ended."""
    writing: Future[Any] | None = None
    async with closing(source.open(blob, start)) as chunks:
        async for chunk in chunks:
            start += len(chunk)
            if start > blob.size:
                break
            if writing:
                await writing
            writing = run(ours.append, chunk)
            writing.add_done_callback(_seen)
    if writing:
        await writing
    return start


def _seen(future: Future[Any]) -> None:
    """An error that came while the source failed too is told by the source's."""
    if not future.cancelled():
        future.exception()


def _wrong(blob: Descriptor, size: int) -> DigestInvalid | SizeInvalid:
    if size == blob.size:
        return DigestInvalid(f"the content is not {blob.digest}")
    return SizeInvalid(f"{blob.digest} has {'more than' if size > blob.size else f'{size} bytes, not'} {blob.size}")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
