"""Upload sessions: bytes come in, are hashed as they come, and become a blob.

Any process may serve any request of a session. Each request takes the session over by raising its generation; the
one that held it stops before its next write. Bytes are durable before the row says that they are here, so after a
crash the file is cut to the row's offset and the upload goes on from there.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dockyard.content.threads import in_thread
from dockyard.errors import BlobUploadUnknown, DigestInvalid, DockyardError, Full, SizeInvalid
from dockyard.oci.digest import HEX_LENGTH, Digest, Hasher
from dockyard.registry.answers import Blob, Upload
from dockyard.registry.catalog import uploads as catalog
from dockyard.registry.intake import Intake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from dockyard.content.blobs import BlobStore, Ingest
    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database

CHECKPOINT = 64 * 1024 * 1024
"""Bytes after which a long request makes durable what it has, so that little is lost when it is cut off."""

PATIENCE = 0.5
"""Seconds without bytes after which the same is done, at most once in that time."""

LONG = 10.0
"""Seconds after which it is done in any case: a slow stream takes hours to bring so many bytes."""

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Uploads:
    """The sessions of a hub."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._blobs, self._clock = database, blobs, clock

    async def begin(self, actor: Actor, repository: RepositoryName, algorithm: str) -> Upload:
        """Start a session. DigestInvalid for an algorithm that is not known."""
        if algorithm not in HEX_LENGTH:
            raise DigestInvalid(f"unknown digest algorithm {algorithm!r}: use {' or '.join(HEX_LENGTH)}")
        upload = uuid.uuid4().hex
        await self._database.write(catalog.begin, upload, repository, actor, algorithm, self._now())
        return Upload(upload, repository, 0, algorithm)

    async def is_of(self, actor: Actor, upload: str) -> bool:
        """Whether the session is there and the actor's own."""
        row = await self._database.look_up(catalog.STARTED_BY, upload)
        return row is not None and row[0] == actor.id

    async def status(self, actor: Actor, repository: RepositoryName, upload: str) -> Upload:
        """Where the session stands, after stopping the request that still sends to it."""
        session = await self._take_over(actor, repository, upload, None)
        return Upload(upload, repository, session.offset, session.algorithm)

    async def append(
        self,
        actor: Actor,
        repository: RepositoryName,
        upload: str,
        chunks: AsyncIterator[bytes],
        *,
        start: int | None,
        length: int | None,
    ) -> Upload:
        """Take bytes; see ``Registry.append``."""
        session = await self._take_over(actor, repository, upload, start)
        async with self._hold(session, {session.algorithm}) as hold:
            await hold.take_in(chunks, length)
            await hold.checkpoint()
        return Upload(upload, repository, hold.offset, session.algorithm)

    async def finish(
        self,
        actor: Actor,
        repository: RepositoryName,
        upload: str,
        digest: Digest,
        chunks: AsyncIterator[bytes],
        *,
        start: int | None,
        length: int | None,
    ) -> Blob:
        """Take the last bytes and make the blob; see ``Registry.finish_upload``."""
        session = await self._take_over(actor, repository, upload, start)
        async with self._hold(session, {session.algorithm, digest.algorithm}) as hold:
            await hold.take_in(chunks, length)
            found = await hold.digests({"sha256", digest.algorithm})
            if found[digest.algorithm] != digest:
                await self._drop(upload, session.parts)
                raise DigestInvalid(f"the uploaded bytes are {found[digest.algorithm]}, and not {digest}")
            key = await hold.commit(found["sha256"])
        name = str(found["sha256"])
        try:
            winner = await self._database.write(catalog.finish, session, name, digest, hold.offset, key, self._now())
        except DockyardError:
            if not await self._database.read(catalog.is_kept, key):
                await self._blobs.delete(key)
            raise
        if winner != key:
            await self._blobs.delete(key)  # somebody else brought the same bytes first
        return Blob(digest, hold.offset, self._blobs.path(winner), winner)

    async def cancel(self, actor: Actor, repository: RepositoryName, upload: str) -> None:
        """End the session and drop its bytes."""
        session = await self._take_over(actor, repository, upload, None)
        await self._drop(upload, session.parts)

    async def discard(self, sessions: Iterable[tuple[str, str]]) -> None:
        """Drop the bytes of sessions, by id and parts, whose rows are gone."""
        for upload, parts in sessions:
            await self._blobs.discard(upload, parts)

    async def expire(self, age: int) -> int:
        """Drop the sessions untouched for ``age`` seconds, and bytes that no session knows; return how many."""
        since = self._now() - age * 1000
        stored = [found async for found in self._blobs.uploads()]
        # Bytes are written before the row says so: such a session is in use.
        used = {found.key for found in stored if found.written * 1000 >= since}
        dropped = 0
        for upload, parts in await self._database.read(catalog.untouched, since):
            if upload not in used and await self._database.write(catalog.remove_untouched, upload, since):
                await self._blobs.discard(upload, parts)
                dropped += 1
        # A session's row goes before its bytes: a crash between the two leaves bytes that nothing names.
        old = [found.key for found in stored if found.key not in used]
        known = await self._database.read(catalog.known, old)
        for upload in old:
            if upload not in known:
                await self._blobs.discard(upload, "")
                dropped += 1
        return dropped

    async def _take_over(
        self, actor: Actor, repository: RepositoryName, upload: str, start: int | None
    ) -> catalog.Session:
        if not _ID.fullmatch(upload):
            raise BlobUploadUnknown(f"{upload[:40]!r} is not an upload")
        return await self._database.write(catalog.take_over, upload, repository, actor.id, start, self._now())

    @asynccontextmanager
    async def _hold(self, session: catalog.Session, algorithms: Iterable[str]) -> AsyncIterator[_Hold]:
        def guard() -> None:
            row = self._database.look_up_here(catalog.GENERATION, session.id)
            if row is None:
                raise catalog.ended(session.id)
            if row[0] != session.generation:
                raise catalog.overtaken(session.id)

        try:
            ingest = await self._blobs.resume(session.id, session.offset, session.parts, guard)
        except BlobUploadUnknown:
            await self._drop(session.id, session.parts)
            raise
        hold = _Hold(session, ingest, _hashers(session, algorithms), self._database, self._now)
        try:
            yield hold
        except (SizeInvalid, Full):
            await hold.back()
            raise
        finally:
            await hold.close()

    async def _drop(self, upload: str, parts: str) -> None:
        await self._database.write(catalog.remove, upload)
        await self._blobs.discard(upload, parts)

    def _now(self) -> int:
        return int(self._clock() * 1000)


class _Hold:
    """What one request does to the session that it holds.

    A piece is hashed in a thread of its own while it and the one before it are written, and the next one arrives.
    """

    def __init__(
        self,
        session: catalog.Session,
        ingest: Ingest,
        hashers: dict[str, Hasher],
        database: Database,
        now: Callable[[], int],
    ) -> None:
        # What is written, and the hashes of exactly that.
        self.offset, self._states = session.offset, _states_of(session)
        self._session, self._ingest, self._hashers = session, ingest, hashers
        self._database, self._now = database, now
        self._hashing = ThreadPoolExecutor(1, "hash")  # one: pieces are hashed in their order
        self._landing: asyncio.Task[None] | None = None
        self._durable = session.offset
        self._syncing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Let the session go; its bytes stay."""
        await self._settled()
        self._hashing.shutdown(wait=False)
        self._ingest.close()

    async def take_in(self, chunks: AsyncIterator[bytes], length: int | None) -> None:
        """Write and hash all of ``chunks``. What came before an error of theirs is kept, and durable.

        SizeInvalid and Full, after which nothing of it should be kept: see :meth:`back`.
        """
        came, checked = 0, time.monotonic()
        try:
            async with Intake(chunks) as intake:
                while (piece := await intake.take(PATIENCE)) is not None:
                    came += sum(map(len, piece))
                    if length is not None and came > length:
                        raise SizeInvalid(f"more than the announced {length} bytes came")
                    await self._take(piece)
                    due = time.monotonic() - checked > (LONG if piece else PATIENCE)
                    if self.offset - self._durable >= CHECKPOINT or (due and self.offset > self._durable):
                        self._begin_checkpoint()
                        checked = time.monotonic()
            if length is not None and came != length:
                raise SizeInvalid(f"{came} bytes came instead of the announced {length}")
            await self._landed()
        except (SizeInvalid, Full):
            raise
        except BaseException:
            await asyncio.gather(self._landed(), return_exceptions=True)
            await self.checkpoint()
            raise

    async def _take(self, piece: list[bytes]) -> None:
        """Start with a piece, once the one before it is done with."""
        before = self._landing
        if piece:
            hashing = asyncio.get_running_loop().run_in_executor(self._hashing, self._hash, piece)
            self._landing = asyncio.create_task(self._land(before, piece, hashing))
        if before:
            await asyncio.shield(before)

    async def _land(
        self, before: asyncio.Task[None] | None, piece: list[bytes], hashing: asyncio.Future[dict[str, bytes | None]]
    ) -> None:
        if before:
            await before  # when that failed, so has this
        await self._ingest.write(piece)
        states = await hashing
        self.offset, self._states = self._ingest.offset, states

    async def _landed(self) -> None:
        if self._landing:
            await asyncio.shield(self._landing)

    def _hash(self, piece: list[bytes]) -> dict[str, bytes | None]:
        for hasher in self._hashers.values():
            for chunk in piece:
                hasher.update(chunk)
        return {algorithm: hasher.save() for algorithm, hasher in self._hashers.items()}

    async def checkpoint(self) -> None:
        """Make durable what came, then say so in the session's row. Conflict when another holds the session."""
        await self._synced()
        if self.offset > self._durable:
            self._begin_checkpoint()
            await self._synced()

    async def back(self) -> None:
        """Let the session stand where this request found it, and free what came since.

        A chunk that is not what it said has no place, and on a full disk nobody comes back for the rest: kept, it
        would fail every other push until it expires.
        """
        await self._settled()
        if self._durable > self._session.offset:
            await self._move(self._session.offset, _states_of(self._session), self._session.parts)
        await self._ingest.cut(self._session.offset)

    def _begin_checkpoint(self) -> None:
        """Start making durable what came so far, while more comes; one at a time."""
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync(self.offset, self._states, self._syncing))

    async def _sync(self, offset: int, states: dict[str, bytes | None], before: asyncio.Task[None] | None) -> None:
        if before:
            await before  # when that failed, so has this
        parts = await self._ingest.sync()
        await self._move(offset, states, parts)
        self._durable = offset

    async def _synced(self) -> None:
        if self._syncing:
            await asyncio.shield(self._syncing)

    async def _settled(self) -> None:
        """Return when nothing is under way any more, however it ended."""
        await asyncio.gather(self._landed(), self._synced(), return_exceptions=True)

    async def _move(self, offset: int, states: dict[str, bytes | None], parts: str) -> None:
        await self._database.write(catalog.move, self._session, offset, states, parts, self._now())

    async def digests(self, algorithms: Iterable[str]) -> dict[str, Digest]:
        """The digests of everything; bytes are read back only for a hash that could not be carried on."""
        missing = {algorithm: Hasher(algorithm) for algorithm in algorithms if algorithm not in self._hashers}
        if missing:
            async for piece in self._ingest.reread():
                for hasher in missing.values():
                    await in_thread(self._hashing, hasher.update, piece)
        return {algorithm: hasher.digest() for algorithm, hasher in (self._hashers | missing).items()}

    async def commit(self, digest: Digest) -> str:
        """Make the bytes a blob; return its key."""
        await self._synced()
        return await self._ingest.commit(digest)


def _hashers(session: catalog.Session, algorithms: Iterable[str]) -> dict[str, Hasher]:
    """The hashes that can go on at the session's offset."""
    wanted = {"sha256", *algorithms}
    if session.offset == 0:
        return {algorithm: Hasher(algorithm) for algorithm in wanted}
    states = _states_of(session)
    loaded = {algorithm: Hasher.load(algorithm, states[algorithm]) for algorithm in wanted}
    return {algorithm: hasher for algorithm, hasher in loaded.items() if hasher}


def _states_of(session: catalog.Session) -> dict[str, bytes | None]:
    return {"sha256": session.sha256, "sha512": session.sha512}
