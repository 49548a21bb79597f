"""The hub's verbs over content: what each request of the distribution protocol comes down to."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.blobs import LocalBlobs
from dockyard.errors import (
    BlobUnknown,
    DigestInvalid,
    DockyardError,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    Unauthenticated,
    Unavailable,
)
from dockyard.oci import media_types, strict_json
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, parse_manifest
from dockyard.oci.reference import RepositoryName
from dockyard.registry import access
from dockyard.registry.access import Action
from dockyard.registry.answers import Blob, Found, Page, Pushed, Referrers, Upload
from dockyard.registry.catalog import blobs as blob_rows
from dockyard.registry.catalog import changes, manifests, repositories, tags
from dockyard.registry.database import Database
from dockyard.registry.housekeeping import Housekeeping, Pulls
from dockyard.registry.journal import Journal
from dockyard.registry.migrate import migrate
from dockyard.registry.rights import Rights
from dockyard.registry.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from typing import Self

    from dockyard.config import ServeSettings
    from dockyard.oci.reference import Tag
    from dockyard.registry.access import Actor

__all__ = ["Blob", "Found", "Page", "Pushed", "Referrers", "Registry", "Upload"]

LARGE = 64 * 1024
"""Bytes of a manifest from which on it is parsed in a thread."""

STANDING = 5.0
"""Seconds after which who still sends bytes is looked at anew."""


class Registry:
    """The hub. One instance in each process; all of them work on the same data folder at once."""

    def __init__(self, settings: ServeSettings, clock: Callable[[], float]) -> None:
        """Use :meth:`open`."""
        self.closed = False
        data = Path(settings.data).absolute()
        self._clock, self._sparse, self._create_on_push = clock, settings.sparse, settings.create_on_push
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._blobs = LocalBlobs(data)
        self.database = Database.at(data / "hub.db")
        self.rights = Rights(self.database, clock, open_to_all=settings.auth == "none")
        self._journal = Journal(data / "journal", self.database)
        self._uploads = Uploads(self.database, self._blobs, clock)
        self._pulls = Pulls(self.database)
        self._housekeeping = Housekeeping(
            self.database,
            self._journal,
            self._uploads,
            self._pulls,
            holder=self._holder,
            upload_expiry=settings.upload_expiry,
            clock=clock,
        )

    @classmethod
    async def open(cls, settings: ServeSettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the data folder, making and migrating it where needed. Full, Unavailable, SettingInvalid."""
        registry = cls(settings, clock)
        try:
            await migrate(registry.database, registry._holder)
            await registry._journal.catch_up()
        except BaseException:
            registry._let_go()
            raise
        registry._housekeeping.start()
        return registry

    async def close(self) -> None:
        """Write what is pending and let go of everything."""
        self.closed = True
        await self._housekeeping.stop()
        self._let_go()

    def _let_go(self) -> None:
        self._journal.close()
        self.database.close()
        self._blobs.close()

    def write_also(self, write: Callable[[], Awaitable[None]]) -> None:
        """Let ``write`` be called every few seconds, and at the end, to write what was gathered."""
        self._housekeeping.writers.append(write)

    async def ready(self) -> None:
        """Return when database and storage can be written; raise Unavailable when not."""
        try:
            await self.database.write(repositories.check)
            await self._blobs.check()
        except DockyardError as error:
            raise Unavailable(error.message, hint=error.hint) from error

    async def manifest(self, actor: Actor, repository: RepositoryName, target: Tag | Digest) -> Found:
        """Return the manifest with its bytes as they were pushed. ManifestUnknown, NameUnknown."""
        await self.rights.require(actor, Action.PULL, repository)
        if isinstance(target, Digest):
            row = await self.database.look_up(manifests.BY_DIGEST, repository, await self._canonical(target))
        else:
            row = await self.database.look_up(manifests.BY_TAG, repository, target)
        if row is None:
            await self._require_pushed_to(repository)
            raise ManifestUnknown(f"there is no manifest {target} in {repository}")
        manifest = Manifest(row[0], row[1])
        if isinstance(target, Digest):
            return Found(manifest, target)
        return Found(manifest, Digest.parse(row[2]) if row[2] else manifest.digest)

    def note_pull(self, repository: RepositoryName, digest: Digest) -> None:
        """Count one pull; it is written later, with others."""
        self._pulls.note(repository, digest, self._clock())

    async def put_manifest(
        self,
        actor: Actor,
        repository: RepositoryName,
        target: Tag | Digest,
        raw: bytes,
        media_type: str | None,
        tags: Sequence[Tag] = (),
    ) -> Pushed:
        """Take a manifest and give it ``target`` (where that is a tag) and ``tags``, all or nothing.

        TooLarge, ManifestInvalid, DigestInvalid, ManifestBlobUnknown (its ``detail`` lists the digests), Full.
        """
        await self._require_still(actor, repository)
        manifest = await _parse(raw, media_type)
        asked = target if isinstance(target, Digest) else manifest.digest
        if asked != manifest.digest and asked != Digest.of(raw, asked.algorithm):
            raise DigestInvalid(f"the manifest's bytes are {Digest.of(raw, asked.algorithm)}, and not {asked}")
        names = tuple(dict.fromkeys(tags if isinstance(target, Digest) else (target, *tags)))
        entry = await self.database.write(
            changes.put, repository, manifest, asked, names, sparse=self._sparse, actor=actor, now=self._now()
        )
        await self._journal.store(entry)
        return Pushed(asked, manifest.subject.digest if manifest.subject else None, names)

    async def delete_manifest(self, actor: Actor, repository: RepositoryName, target: Tag | Digest) -> None:
        """Take a tag away, or a manifest with all its tags.

        ManifestUnknown, NameUnknown; Unsupported while an index of the repository needs the manifest.
        """
        await self.rights.require(actor, Action.DELETE, repository)
        if isinstance(target, Digest):
            entry = await self.database.write(changes.delete, repository, target, actor=actor, now=self._now())
        else:
            entry = await self.database.write(changes.untag, repository, target, actor=actor, now=self._now())
        await self._journal.store(entry)

    async def tags(self, actor: Actor, repository: RepositoryName, *, after: str = "", limit: int) -> Page[str]:
        """Tags in ASCII order, those after ``after``. NameUnknown."""
        await self.rights.require(actor, Action.PULL, repository)
        found = await self.database.read(tags.names, repository, after=after, limit=limit + 1)
        if not found:
            await self._require_pushed_to(repository)
        return Page(tuple(found[:limit]), 0 < limit < len(found))

    async def repositories(self, actor: Actor, *, after: str = "", limit: int) -> Page[str]:
        """Names in ASCII order of the repositories that something was pushed to."""
        access.require(actor, Action.CATALOG, access.HUB)
        found = await self.database.read(repositories.names, actor, after=after, limit=limit + 1)
        return Page(tuple(found[:limit]), 0 < limit < len(found))

    async def referrers(
        self,
        actor: Actor,
        repository: RepositoryName,
        digest: Digest,
        *,
        artifact_type: str | None = None,
        after: str = "",
    ) -> Referrers:
        """The OCI index of the manifests whose subject is ``digest``; empty where there are none. PageInvalid."""
        await self.rights.require(actor, Action.PULL, repository)
        found, following = await self.database.read(manifests.referrers, repository, digest, artifact_type, after)
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": found}
        return Referrers(strict_json.dump(index), following)

    async def blob(self, actor: Actor, repository: RepositoryName, digest: Digest) -> Blob:
        """Return a blob that the repository may show. BlobUnknown."""
        try:
            await self.rights.require(actor, Action.PULL, repository)
        except NameUnknown:
            raise _no_blob(digest, repository) from None
        row = await self.database.look_up(blob_rows.BLOB, repository, await self._canonical(digest))
        if row is None:
            raise _no_blob(digest, repository)
        found, now = blob_rows.Shown(*row), self._now()
        if found.seen < now - blob_rows.SEEN_MS:
            await self.database.write(blob_rows.renew, found.repository, [found.digest], now)
        return self._shown(digest, found)

    def read(self, blob: Blob, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes ``start`` up to and without ``end`` in pieces of 1 MiB, read off the event loop. Unavailable."""
        return self._blobs.read(blob.key, start, end)

    async def delete_blob(self, actor: Actor, repository: RepositoryName, digest: Digest) -> None:
        """Take a blob out of the repository. BlobUnknown; Unsupported while a manifest there needs it."""
        await self.rights.require(actor, Action.DELETE, repository)
        entry = await self.database.write(changes.unlink, repository, digest, actor=actor, now=self._now())
        if entry:
            await self._journal.store(entry)

    async def remove(self, actor: Actor, repository: RepositoryName) -> None:
        """Remove the repository with all that is in it and its uploads; made anew, it is another one. NameUnknown."""
        await self.rights.require(actor, Action.REMOVE, repository)
        entry, uploads = await self.database.write(changes.remove, repository, actor=actor, now=self._now())
        if entry:
            await self._journal.store(entry)
        await self._uploads.discard(uploads)

    async def mount(
        self, actor: Actor, repository: RepositoryName, digest: Digest, origin: RepositoryName | None
    ) -> Blob | None:
        """Show a blob of ``origin`` (``None``: of any repository the actor may read) here too.

        ``None`` where that can't be: the client uploads it then.
        """
        await self._require_push(actor, repository)
        if origin is None:
            name = await self.database.read(blob_rows.holder, actor, digest)
            origin = RepositoryName(name) if name else None
        if origin is None or not await self.rights.allowed(actor, Action.PULL, origin):
            return None
        found = await self.database.write(blob_rows.mount, actor, repository, digest, origin, self._now())
        return self._shown(digest, found) if found else None

    async def begin_upload(self, actor: Actor, repository: RepositoryName, *, algorithm: str = "sha256") -> Upload:
        """Start an upload session. ``algorithm`` is what the client will name the blob by. DigestInvalid."""
        await self._require_push(actor, repository)
        return await self._uploads.begin(actor, repository, algorithm)

    async def upload(self, actor: Actor, repository: RepositoryName, upload_id: str) -> Upload:
        """Where the session stands; a request that still sends to it is stopped. BlobUploadUnknown."""
        await self._require_push(actor, repository)
        return await self._uploads.status(actor, repository, upload_id)

    async def owns_upload(self, actor: Actor, upload_id: str) -> bool:
        """Whether the session is there and was begun by the actor."""
        return await self._uploads.is_of(actor, upload_id)

    async def append(
        self,
        actor: Actor,
        repository: RepositoryName,
        upload_id: str,
        chunks: AsyncIterator[bytes],
        *,
        start: int | None = None,
        length: int | None = None,
    ) -> Upload:
        """Take bytes from offset ``start`` (``None``: wherever the session stands) and return when they are durable.

        When ``chunks`` raises, what came before is kept and the error goes on. ``length`` is what was announced.
        BlobUploadUnknown, RangeInvalid (with the offset), SizeInvalid, Conflict (another request took over), Full;
        Unauthenticated and Denied also for who may no longer send, when some or all of it has come.
        """
        await self._require_push(actor, repository)
        chunks = self._while_allowed(actor, repository, chunks)
        return await self._uploads.append(actor, repository, upload_id, chunks, start=start, length=length)

    async def finish_upload(
        self,
        actor: Actor,
        repository: RepositoryName,
        upload_id: str,
        digest: Digest,
        chunks: AsyncIterator[bytes],
        *,
        start: int | None = None,
        length: int | None = None,
    ) -> Blob:
        """Take the last bytes, verify all of them and show the blob in the repository, durably.

        Errors are those of :meth:`append`, and DigestInvalid, which ends the session.
        """
        await self._require_push(actor, repository)
        chunks = self._while_allowed(actor, repository, chunks)
        return await self._uploads.finish(actor, repository, upload_id, digest, chunks, start=start, length=length)

    async def cancel_upload(self, actor: Actor, repository: RepositoryName, upload_id: str) -> None:
        """End the session and drop its bytes. BlobUploadUnknown."""
        await self._require_push(actor, repository)
        await self._uploads.cancel(actor, repository, upload_id)

    async def _canonical(self, digest: Digest) -> str:
        if digest.algorithm == "sha256":
            return str(digest)
        row = await self.database.look_up(blob_rows.ALIAS, str(digest))
        return row[0] if row else str(digest)

    async def _require_push(self, actor: Actor, repository: RepositoryName) -> None:
        """Denied; NameUnknown where only those who create repositories may make new ones."""
        await self.rights.require(actor, Action.PUSH, repository)
        if not self._create_on_push and not (await self.rights.place(actor, repository)).exists:
            raise NameUnknown(
                f"there is no repository {repository}, and on this hub a push does not make one",
                hint=f"Make it first: dockyard repo create {repository}",
            )

    async def _while_allowed(
        self, actor: Actor, repository: RepositoryName, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The chunks, for as long as the actor may send them: a request can take hours, and access ends in seconds."""
        looked = self._clock()
        async for chunk in chunks:
            yield chunk
            if self._clock() - looked >= STANDING:
                await self._require_still(actor, repository)
                looked = self._clock()
        await self._require_still(actor, repository)

    async def _require_still(self, actor: Actor, repository: RepositoryName) -> None:
        if actor.id is not None:
            found = await self.rights.actor(actor.id, actor.token)
            if found is None or found.proof != actor.proof:
                raise Unauthenticated("who sends this may no longer do so")
            actor = replace(actor, administrator=found.administrator)
        await self._require_push(actor, repository)

    async def _require_pushed_to(self, repository: RepositoryName) -> None:
        if not await self.database.read(repositories.was_pushed_to, repository):
            raise NameUnknown(f"there is no repository {repository}")

    def _shown(self, digest: Digest, found: blob_rows.Shown) -> Blob:
        return Blob(digest, found.size, self._blobs.path(found.key), found.key)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _no_blob(digest: Digest, repository: RepositoryName) -> BlobUnknown:
    return BlobUnknown(f"there is no blob {digest} in {repository}")


async def _parse(raw: bytes, media_type: str | None) -> Manifest:
    if len(raw) < LARGE:
        manifest = parse_manifest(raw, media_type)
    else:
        manifest = await asyncio.to_thread(parse_manifest, raw, media_type)
    if manifest.artifact_type and not manifest.artifact_type.isprintable():
        raise ManifestInvalid(f"{manifest.artifact_type!r} is not a media type")
    return manifest
