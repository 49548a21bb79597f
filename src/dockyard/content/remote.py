"""A repository of a registry as a place to copy from and to.

Source: OCI distribution specification 1.1, sections "Pull", "Push", "Content Discovery" and "Content Management".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from dockyard.content import auth, referrers
from dockyard.content.fetch import fetch, fetch_foreign, read_all
from dockyard.content.streams import closing
from dockyard.content.upload import begin, upload
from dockyard.errors import (
    BlobUnknown,
    Denied,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, Manifest, parse_manifest
from dockyard.oci.media_types import ACCEPT_MANIFESTS, MANIFESTS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping

    from dockyard.content.http import RegistryClient
    from dockyard.content.protocols import Outcome, Source
    from dockyard.oci.reference import RepositoryName

DONE = frozenset({200, 201, 202, 204})


class Remote:
    """One repository: a Source, a Sink, and one that mounts. Small requests are tried again by themselves."""

    def __init__(self, client: RegistryClient, repository: RepositoryName) -> None:
        self.client = client
        self.repository = repository
        self.path = f"/v2/{repository}"
        self.name = f"{client.registry}/{repository}"
        self.begun: dict[Digest, str] = {}  # uploads that refused mounts have opened, by blob
        self.writing: dict[Digest, asyncio.Lock] = {}
        self.listing = asyncio.Lock()  # held while a list of referrers under a tag is changed
        self.attempts: dict[Digest, int] = {}  # uploads of this process that did not end yet, by blob

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return a manifest. ManifestUnknown, DigestInvalid where the bytes are others, TooLarge over 4 MiB."""
        where = f"manifest for {self._full(name)}"
        try:
            async with self.client.request(
                "GET", self._manifest_path(name), auth.pull(self.repository),
                expect={200}, where=where, missing=ManifestUnknown, headers={"Accept": ACCEPT_MANIFESTS},
            ) as response:  # fmt: skip
                raw = await read_all(response, MAX_MANIFEST, where)
                media_type, stated = response.headers.get("Content-Type"), _stated_digest(response.headers)
        except NotFound as error:
            said = error.message.removeprefix(f"{where}: ")
            raise ManifestUnknown(f"{where} not found: {said}") from None
        expected = name if isinstance(name, Digest) else stated
        if expected and Digest.of(raw, expected.algorithm) != expected:
            raise DigestInvalid(f"{where}: the registry sent other bytes than {expected}")
        return parse_manifest(raw, _known_type(media_type))

    async def resolve(self, name: str | Digest) -> Descriptor:
        """Return type, digest and size of a manifest, without fetching it where the registry says them."""
        async with self.client.request(
            "HEAD", self._manifest_path(name), auth.pull(self.repository), expect={200},
            where=f"manifest for {self._full(name)}", missing=ManifestUnknown, headers={"Accept": ACCEPT_MANIFESTS},
        ) as response:  # fmt: skip
            headers = response.headers
        media_type, digest = _known_type(headers.get("Content-Type")), _stated_digest(headers)
        size = headers.get("Content-Length", "")
        if not (media_type and digest and size.isdecimal()) or (isinstance(name, Digest) and digest != name):
            return (await self.manifest(name)).descriptor
        return Descriptor(media_type, digest, int(size))

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield a blob's bytes from ``start``; a foreign layer that is not here comes from its own URLs."""
        if start >= blob.size:
            return
        came = False
        try:
            async with closing(fetch(self, blob, start)) as chunks:
                async for chunk in chunks:
                    came = True
                    yield chunk
        except BlobUnknown:
            if came or not blob.urls:
                raise
        else:
            return
        async with closing(fetch_foreign(self.client, blob, start)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def has(self, content: Descriptor) -> bool:
        """Whether a blob or manifest is in the repository. Only a clear no is ``False``."""
        kind = "manifests" if content.media_type in MANIFESTS else "blobs"
        return await self._head(f"{self.path}/{kind}/{content.digest}", auth.push(self.repository), content)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Upload a blob, going on where an earlier upload of it stopped; the registry checks the digest."""
        return await upload(self, blob, source)

    async def put(self, manifest: Manifest, name: str | None) -> None:
        """Send a manifest, under a tag or else under its digest."""
        await self.client.retry(lambda: self._put(manifest, self._full(name or manifest.digest), name))

    async def _put(self, manifest: Manifest, where: str, name: str | None) -> None:
        path = self._manifest_path(name or manifest.digest)
        try:
            async with self.client.request(
                "PUT", path, auth.push(self.repository), expect=DONE, where=where,
                headers={"Content-Type": manifest.media_type}, body=manifest.raw, missing=NameUnknown, again=False,
            ) as response:  # fmt: skip
                stated = _stated_digest(response.headers)
                understood = "OCI-Subject" in response.headers
        except DigestInvalid as error:
            # The bytes are right. docker-registry 2.8 says this when two clients put the same manifest at once.
            raise Unavailable(error.message) from error
        if stated and stated != Digest.of(manifest.raw, stated.algorithm):
            raise DigestInvalid(f"{where}: the registry kept another manifest, {stated}, than {manifest.digest}")
        if manifest.subject and not understood:
            await referrers.add(self, manifest, manifest.subject.digest)

    async def mount(self, blob: Descriptor, origin: RepositoryName) -> bool:
        """Take a blob from another repository of this registry; ``False`` where that is refused."""
        query = f"mount={quote(str(blob.digest), safe='')}&from={quote(origin, safe='')}"
        try:
            location = await begin(self, query=query, scopes=auth.push(self.repository) | auth.pull(origin))
        except (Denied, Unauthenticated, NotFound):
            return False  # some refuse the whole request where the origin may not be read
        if location:
            self.begun[blob.digest] = location  # the upload that opened instead
        return not location

    async def mountable(self, blob: Descriptor, origin: RepositoryName) -> bool:
        """Whether :meth:`mount` would likely work, found out without doing it."""
        try:
            return await self._head(f"/v2/{origin}/blobs/{blob.digest}", auth.pull(origin), blob)
        except (Denied, Unauthenticated):
            return False

    async def tags(self) -> AsyncIterator[str]:
        """Yield every tag, in the registry's order. NameUnknown."""
        async for page in self.client.pages(
            f"{self.path}/tags/list?n=1000", auth.pull(self.repository), where=self.name, missing=NameUnknown
        ):
            names = page.get("tags")
            for name in names if isinstance(names, list) else []:
                yield str(name)

    async def referrers(self, digest: Digest, *, artifact_type: str | None = None) -> list[Descriptor]:
        """Return what names ``digest`` as its subject; from the fallback tag where the registry has no such list.

        Source: section "Listing Referrers", with "Unavailable Referrers API" for the tag.
        """
        query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        target = f"{self.path}/referrers/{digest}{query}"
        found: list[Descriptor] = []
        try:
            async for page in self.client.pages(target, auth.pull(self.repository), where=self.name):
                found += _descriptors(page)
        except NotFound:
            try:
                found = list((await self.manifest(referrers.tag_of(digest))).manifests)
            except (ManifestUnknown, ManifestInvalid):
                return []
        return [one for one in found if artifact_type in {None, one.artifact_type}]

    async def delete(self, name: str | Digest) -> None:
        """Delete a manifest with all its tags, or untag where ``name`` is a tag. ManifestUnknown, Unsupported."""
        gone = await self.manifest(name) if isinstance(name, Digest) else None
        async with self.client.request(
            "DELETE", self._manifest_path(name), auth.delete(self.repository),
            expect=DONE, where=self._full(name), missing=ManifestUnknown,
        ):  # fmt: skip
            pass
        if gone and gone.subject and not await self._lists_referrers(gone.subject.digest):
            await referrers.remove(self, gone, gone.subject.digest)

    async def _lists_referrers(self, digest: Digest) -> bool:
        async with self.client.request(
            "GET", f"{self.path}/referrers/{digest}", auth.pull(self.repository), expect={200, 404}, where=self.name
        ) as response:
            return bool(response.status == 200)

    async def delete_blob(self, digest: Digest) -> None:
        """Delete a blob from the repository. BlobUnknown, Unsupported."""
        async with self.client.request(
            "DELETE", f"{self.path}/blobs/{digest}", auth.delete(self.repository),
            expect=DONE, where=self._full(digest), missing=BlobUnknown,
        ):  # fmt: skip
            pass

    async def _head(self, path: str, scopes: auth.Scopes, content: Descriptor) -> bool:
        headers = {"Accept": ACCEPT_MANIFESTS} if content.media_type in MANIFESTS else {}
        async with self.client.request(
            "HEAD", path, scopes, expect={200, 404}, where=self._full(content.digest), headers=headers
        ) as response:
            return bool(response.status == 200)

    def _manifest_path(self, name: str | Digest) -> str:
        return f"{self.path}/manifests/{quote(str(name), safe=':')}"

    def _full(self, name: str | Digest) -> str:
        return f"{self.name}@{name}" if isinstance(name, Digest) else f"{self.name}:{name}"


def _known_type(media_type: str | None) -> str | None:
    """A manifest's media type; ``None`` for what servers say that do not know, so that the content decides."""
    plain = (media_type or "").partition(";")[0].strip().lower()
    return None if plain in {"", "application/json", "application/octet-stream", "text/plain"} else plain


def _stated_digest(headers: Mapping[str, str]) -> Digest | None:
    try:
        return Digest.parse(headers.get("Docker-Content-Digest", ""))
    except DigestInvalid:
        return None


def _descriptors(page: dict[str, object]) -> list[Descriptor]:
    items = page.get("manifests")
    return [Descriptor.parse(item) for item in items] if isinstance(items, list) else []
