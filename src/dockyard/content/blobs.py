"""Where the hub keeps the bytes of blobs.

Bytes arrive in an *upload* that only its session knows, and become a blob by getting a *key*. A key is never used
twice, so whoever removes one removes exactly the bytes that it meant; which digest is kept under which key is a row
of the hub's database. On disk::

    DATA/uploads/<upload id>                        bytes of a session, appended
    DATA/blobs/sha256/ab/<hex>-<upload id>          complete, verified and durable; the part after blobs/ is the key
"""

from __future__ import annotations

import fcntl
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from dockyard.content.folders import admit, make_folder, refuse_network_folder, storage_errors, sync_folder
from dockyard.content.protocols import CHUNK
from dockyard.content.threads import in_thread
from dockyard.errors import BlobUploadUnknown, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from dockyard.oci.digest import Digest

P = ParamSpec("P")
T = TypeVar("T")

_UPLOAD = re.compile(r"[0-9a-f]{32}", re.ASCII)
_VECTOR = os.sysconf("SC_IOV_MAX")
_KEY = re.compile(r"sha256/[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stored:
    """One key that a store holds: its size in bytes, and when it was written in seconds since 1970."""

    key: str
    size: int
    written: float


class Ingest(Protocol):
    """One holder's grip on an upload, from its ``offset`` on. Close it in the end."""

    offset: int

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Add bytes at ``offset``. What the guard raises goes on to the caller, and nothing is written; Full."""
        ...

    async def sync(self) -> str:
        """Make what was written durable; return what the store needs to go on from here later."""
        ...

    async def cut(self, offset: int) -> None:
        """Go back to ``offset`` and free what was written after it. What the guard raises goes on to the caller."""
        ...

    def reread(self) -> AsyncIterator[bytes]:
        """Yield the bytes before ``offset``."""
        ...

    async def commit(self, digest: Digest) -> str:
        """Make the upload a blob, durably, and return its key. ``digest`` is the sha256 of its bytes."""
        ...

    def close(self) -> None:
        """Let go; the bytes stay."""
        ...


class BlobStore(Protocol):
    """Bytes under keys. Nothing has a key before it is complete and durable."""

    async def resume(self, upload: str, offset: int, parts: str, guard: Callable[[], None]) -> Ingest:
        """Take hold of an upload whose first ``offset`` bytes are good; what follows them is dropped.

        ``parts`` is what the last ``sync`` returned, at first ``""``. ``guard`` is called in a thread before bytes
        change and raises once somebody else holds the upload. BlobUploadUnknown when the good bytes are gone.
        """
        ...

    async def discard(self, upload: str, parts: str) -> None:
        """Drop an upload's bytes; not there is fine."""
        ...

    def path(self, key: str) -> Path | None:
        """The file to send for a key, where the store has files."""
        ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes ``start`` up to and without ``end`` in pieces of 1 MiB; Unavailable when they are not there."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a key; not there is fine."""
        ...

    def walk(self) -> AsyncIterator[Stored]:
        """Yield every key."""
        ...

    def uploads(self) -> AsyncIterator[Stored]:
        """Yield every upload's bytes, with its id for a key."""
        ...

    async def check(self) -> None:
        """Raise Full or Unavailable when nothing can be written."""
        ...


class LocalBlobs:
    """A :class:`BlobStore` in a folder of a local file system, which several processes may use at once."""

    def __init__(self, root: Path) -> None:
        """Make the folders below ``root``, for the owner only. SettingInvalid on a network file system; Full."""
        self._root = root
        self._blobs, self._uploads = root / "blobs", root / "uploads"
        with storage_errors(root):
            for folder in (root, self._blobs, self._uploads):
                make_folder(folder)
        refuse_network_folder(root)
        # Each in its own pool: a reader never waits behind a disk that syncs.
        self._readers = ThreadPoolExecutor(8, "blob-read")
        self._writers = ThreadPoolExecutor(16, "blob-write")

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self._readers.shutdown()
        self._writers.shutdown()

    async def resume(self, upload: str, offset: int, parts: str, guard: Callable[[], None]) -> LocalIngest:
        """Take hold of an upload whose first ``offset`` bytes are good; what follows them is cut off."""
        return await self._write(self._resume, upload, offset, guard)

    def _resume(self, upload: str, offset: int, guard: Callable[[], None]) -> LocalIngest:
        path = self._upload_path(upload)
        create = os.O_CREAT if offset == 0 else 0
        try:
            descriptor = os.open(path, os.O_RDWR | create | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            if create:
                raise  # there is no folder to make it in
            raise BlobUploadUnknown(f"the bytes of upload {upload} are gone") from None
        ingest = LocalIngest(descriptor, path, self._blobs, offset, guard, self._writers)
        try:
            ingest.cut_now()
        except BaseException:
            ingest.close()
            raise
        return ingest

    async def discard(self, upload: str, parts: str) -> None:
        """Drop an upload's bytes; not there is fine."""
        await self._write(self._upload_path(upload).unlink, missing_ok=True)

    def path(self, key: str) -> Path:
        """The file of a key."""
        if not _KEY.fullmatch(key):
            raise Unavailable(f"{key!r} is not a key of this store")
        return self._blobs / key

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes ``start`` up to and without ``end`` in pieces of 1 MiB, read off the event loop."""
        path = self.path(key)
        try:
            descriptor = await in_thread(self._readers, os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Unavailable(f"the bytes of {key} are missing from {self._blobs}") from None
        try:
            while start < end:
                piece = await in_thread(self._readers, os.pread, descriptor, min(CHUNK, end - start), start)
                if not piece:
                    raise Unavailable(f"the bytes of {key} end at {start}, before {end}")
                start += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def delete(self, key: str) -> None:
        """Remove a key; not there is fine."""
        await self._write(self.path(key).unlink, missing_ok=True)

    async def walk(self) -> AsyncIterator[Stored]:
        """Yield every key, folder by folder."""
        folder = self._blobs / "sha256"
        for name in await self._write(_names, folder):
            for stored in await self._write(_files, folder / name, f"sha256/{name}/"):
                yield stored

    async def uploads(self) -> AsyncIterator[Stored]:
        """Yield every upload's bytes, with its id for a key."""
        for stored in await self._write(_files, self._uploads, ""):
            yield stored

    async def check(self) -> None:
        """Raise Full or Unavailable when nothing can be written."""
        await self._write(self._check)

    def _check(self) -> None:
        probe = self._uploads / f".check-{os.getpid()}"
        with storage_errors(self._root):
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                admit(descriptor, CHUNK)
                os.pwrite(descriptor, b"\0", 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                probe.unlink(missing_ok=True)

    def _upload_path(self, upload: str) -> Path:
        if not _UPLOAD.fullmatch(upload):
            raise BlobUploadUnknown(f"{upload!r} is not an upload")
        return self._uploads / upload

    async def _write(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with storage_errors(self._root):
            return await in_thread(self._writers, function, *args, **kwargs)


class LocalIngest:
    """An :class:`Ingest` into a file.

    The file is locked for each write, and the guard asked under the lock: a holder that was overtaken can't write
    into what its successor has cut and goes on with, however long its disk kept it.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        blobs: Path,
        offset: int,
        guard: Callable[[], None],
        threads: ThreadPoolExecutor,
    ) -> None:
        self.offset = offset
        self._descriptor, self._path, self._blobs = descriptor, path, blobs
        self._guard, self._threads = guard, threads

    def cut_now(self) -> None:
        """Drop what follows ``offset``, in the thread of the caller; raise BlobUploadUnknown when there is less."""
        with self._held():
            if os.fstat(self._descriptor).st_size < self.offset or not self._path.exists():
                raise BlobUploadUnknown(f"the bytes of upload {self._path.name} are gone")
            os.ftruncate(self._descriptor, self.offset)

    async def cut(self, offset: int) -> None:
        """Go back to ``offset`` and free what was written after it."""
        self.offset = offset
        await self._run(self.cut_now)

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Add bytes at ``offset``."""
        self.offset = await self._run(self._write, pieces)

    def _write(self, pieces: Sequence[bytes]) -> int:
        offset = self.offset
        with self._held():
            admit(self._descriptor, sum(map(len, pieces)))
            waiting = list(pieces)
            while waiting:
                written = os.pwritev(self._descriptor, waiting[:_VECTOR], offset)
                offset += written
                while waiting and written >= len(waiting[0]):
                    written -= len(waiting.pop(0))
                if written:
                    waiting[0] = waiting[0][written:]
        return offset

    async def sync(self) -> str:
        """Make what was written durable. Files need nothing to go on: the file is its own record."""
        await self._run(os.fdatasync, self._descriptor)
        return ""

    async def reread(self) -> AsyncIterator[bytes]:
        """Yield the bytes before ``offset`` in pieces of 1 MiB."""
        position = 0
        while position < self.offset:
            piece = await self._run(os.pread, self._descriptor, min(CHUNK, self.offset - position), position)
            if not piece:
                raise BlobUploadUnknown(f"the bytes of upload {self._path.name} are gone")
            position += len(piece)
            yield piece

    async def commit(self, digest: Digest) -> str:
        """Sync the file, rename it to its key and sync the folder."""
        return await self._run(self._commit, digest)

    def _commit(self, digest: Digest) -> str:
        key = f"{digest.algorithm}/{digest.hex[:2]}/{digest.hex}-{self._path.name}"
        target = self._blobs / key
        make_folder(target.parent.parent)
        make_folder(target.parent)
        with self._held():
            # A holder before us may have written past our end while we took over.
            os.ftruncate(self._descriptor, self.offset)
            os.fsync(self._descriptor)
            try:
                self._path.rename(target)
            except FileNotFoundError:
                raise BlobUploadUnknown(f"the bytes of upload {self._path.name} are gone") from None
        sync_folder(target.parent)
        # The folder may be another process's, which has not synced its name yet.
        sync_folder(target.parent.parent)
        return key

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @contextmanager
    def _held(self) -> Iterator[None]:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self._guard()
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    async def _run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with storage_errors(self._blobs):
            return await in_thread(self._threads, function, *args, **kwargs)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _files(folder: Path, prefix: str) -> list[Stored]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not entry.name.startswith("."):
                found.append(Stored(prefix + entry.name, status.st_size, status.st_mtime))
    return sorted(found, key=lambda stored: stored.key)
