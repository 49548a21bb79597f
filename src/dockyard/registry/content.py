"""The hub's verbs over content: what each request of the distribution protocol comes down to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dockyard.registry.answers import Blob, Page, Pushed, Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Self

    from dockyard.config import ServeSettings
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import RepositoryName, Tag
    from dockyard.registry.access import Actor

__all__ = ["Blob", "Page", "Pushed", "Registry", "Upload"]


class Registry:
    """The hub. One instance in each process; all of them work on the same data folder at once."""

    @classmethod
    async def open(cls, settings: ServeSettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the data folder, making and migrating it where needed. Unavailable, SettingInvalid."""
        raise NotImplementedError

    async def close(self) -> None:
        """Write what is pending and let go of everything."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Return when database and storage can be written; raise Unavailable when not."""
        raise NotImplementedError

    async def manifest(self, actor: Actor, repository: RepositoryName, target: Tag | Digest) -> Manifest:
        """Return the manifest with its bytes as they were pushed. ManifestUnknown, NameUnknown."""
        raise NotImplementedError

    def note_pull(self, repository: RepositoryName, digest: Digest) -> None:
        """Count one pull; it is written later, with others."""
        raise NotImplementedError

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
        raise NotImplementedError

    async def delete_manifest(self, actor: Actor, repository: RepositoryName, target: Tag | Digest) -> None:
        """Take a tag away, or a manifest with all its tags. ManifestUnknown, NameUnknown, Unsupported."""
        raise NotImplementedError

    async def tags(self, actor: Actor, repository: RepositoryName, *, after: str = "", limit: int) -> Page[str]:
        """Tags in ASCII order, those after ``after``. NameUnknown."""
        raise NotImplementedError

    async def repositories(self, actor: Actor, *, after: str = "", limit: int) -> Page[str]:
        """Names in ASCII order of the repositories that something was pushed to."""
        raise NotImplementedError

    async def referrers(
        self, actor: Actor, repository: RepositoryName, digest: Digest, *, artifact_type: str | None = None
    ) -> bytes:
        """The OCI index of the manifests whose subject is ``digest``; empty where there are none."""
        raise NotImplementedError

    async def blob(self, actor: Actor, repository: RepositoryName, digest: Digest) -> Blob:
        """Return a blob that the repository may show. BlobUnknown."""
        raise NotImplementedError

    def read(self, blob: Blob, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes ``start`` up to and without ``end`` in pieces of 1 MiB, read off the event loop."""
        raise NotImplementedError

    async def delete_blob(self, actor: Actor, repository: RepositoryName, digest: Digest) -> None:
        """Take a blob out of the repository. BlobUnknown; Unsupported while a manifest there needs it."""
        raise NotImplementedError

    async def mount(
        self, actor: Actor, repository: RepositoryName, digest: Digest, origin: RepositoryName | None
    ) -> Blob | None:
        """Show a blob of ``origin`` (``None``: of any repository the actor may read) here too.

        ``None`` where that can't be: the client uploads it then.
        """
        raise NotImplementedError

    async def begin_upload(self, actor: Actor, repository: RepositoryName, *, algorithm: str = "sha256") -> Upload:
        """Start an upload session. ``algorithm`` is what the client will name the blob by. DigestInvalid."""
        raise NotImplementedError

    async def upload(self, actor: Actor, repository: RepositoryName, upload_id: str) -> Upload:
        """Where the session stands; a request that still sends to it is stopped. BlobUploadUnknown."""
        raise NotImplementedError

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
        BlobUploadUnknown, RangeInvalid (with the offset), SizeInvalid, Conflict (another request took over), Full.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    async def cancel_upload(self, actor: Actor, repository: RepositoryName, upload_id: str) -> None:
        """End the session and drop its bytes. BlobUploadUnknown."""
        raise NotImplementedError
