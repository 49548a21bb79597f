"""OCI image layouts: folders that skopeo, umoci, podman and others read and write too.

Source: OCI image specification, ``image-layout.md``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dockyard.content import graph
from dockyard.content.entries import IMAGE_NAME, REF_NAME, Entries, annotated, name_of
from dockyard.content.files import BlobFiles
from dockyard.content.folders import storage_errors
from dockyard.errors import ArchiveInvalid, BlobUnknown, Invalid, ManifestBlobUnknown, ManifestUnknown, TooLarge
from dockyard.oci import strict_json
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, Manifest, parse_manifest
from dockyard.oci.media_types import MANIFESTS
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from dockyard.content.protocols import Outcome, Source
    from dockyard.oci.descriptor import Descriptor


class Layout:
    """A Source and a Sink in a folder. Reading makes nothing; writing makes the layout where there is none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files, self.entries = BlobFiles(root), Entries(root)

    def check(self) -> None:
        """Raise ArchiveInvalid unless the folder is an image layout of a version that is known."""
        try:
            raw = (self.root / "oci-layout").read_bytes()[:4096]
        except OSError as error:
            raise ArchiveInvalid(f"{self.root} is not an OCI image layout: oci-layout: {error.strerror}") from None
        version = strict_json.parse_object(raw, f"{self.root}/oci-layout", ArchiveInvalid).get("imageLayoutVersion")
        if version != "1.0.0":
            raise ArchiveInvalid(f"{self.root} is an OCI image layout of an unknown version: {version!r}")

    def names(self) -> list[str]:
        """The names of images in the layout, in the order that they came."""
        return [name for entry in self.entries.read() if (name := name_of(entry))]

    def find(self, name: str) -> Descriptor:
        """Return what a name means; ``""`` is the only image of a layout. ManifestUnknown."""
        self.check()
        return find(self.entries.read(), name, self.root)

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return a manifest, its bytes checked against its digest."""
        if isinstance(name, Digest):
            return read_manifest(self.files, name)
        entry = self.find(name)
        return read_manifest(self.files, entry.digest, entry.media_type)

    def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from ``start``; BlobUnknown."""
        return self.files.open(blob, start)

    async def has(self, content: Descriptor) -> bool:
        """Whether the blob or manifest is here, with its size."""
        return self.files.has(content)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Take a blob, going on where an earlier try stopped."""
        self._make()
        return await self.files.write(blob, source)

    async def put(self, manifest: Manifest, name: str | None) -> None:
        """Take a manifest whose content is here, and call it ``name``; who was called so before loses the name."""
        import asyncio

        await asyncio.to_thread(self._put, manifest, name)

    def _make(self) -> None:
        """Be an empty layout from the first write on."""
        if (self.root / "oci-layout").exists() and (self.root / "index.json").exists():
            return
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with self.entries.locked():
            self.entries.write(self.entries.read())

    def _put(self, manifest: Manifest, name: str | None) -> None:
        self._make()
        refuse_incomplete(self.files, manifest)
        self.files.put(manifest.raw, manifest.digest)
        if name is None:
            return
        entry = annotated(manifest.descriptor, **{REF_NAME: name, IMAGE_NAME: _image_name(name)})
        with self.entries.locked():
            others = [other for other in self.entries.read() if not name or name_of(other) != name]
            self.entries.write([*others, entry])
        with suppress(OSError):  # others write here, or it is gone
            self.files.ingest.rmdir()


def _image_name(name: str) -> str:
    """The full name that a name with a repository in it means; docker and podman take that as the image's."""
    with suppress(Invalid):
        return str(parse_reference(name).tagged()) if ":" in name or "/" in name else ""
    return ""


def find(entries: Sequence[Descriptor], name: str, where: object) -> Descriptor:
    """Return the entry called ``name``, the only one for ``""``; raise ManifestUnknown that says what there is."""
    found = [entry for entry in entries if name in (name_of(entry), entry.annotations.get(IMAGE_NAME))]
    if not name and len({entry.digest for entry in entries}) == 1:
        return entries[0]
    if found:
        return found[-1]
    known = ", ".join(sorted({name_of(entry) or str(entry.digest) for entry in entries})[:20])
    if not name:
        raise ManifestUnknown(f"{where} holds several images: say which", hint=f"There are: {known}")
    raise ManifestUnknown(f"{where} has no image called {name!r}", hint=f"There are: {known}" if known else None)


def read_manifest(files: BlobFiles, digest: Digest, media_type: str | None = None) -> Manifest:
    """Read and check a manifest. ManifestUnknown; ManifestInvalid; DigestInvalid where the file is damaged."""
    try:
        return parse_manifest(files.read(digest, limit=MAX_MANIFEST), media_type)
    except BlobUnknown:
        raise ManifestUnknown(f"manifest {digest} is not in {files.root}") from None


def refuse_incomplete(files: BlobFiles, manifest: Manifest) -> None:
    """Raise ManifestBlobUnknown that names the first piece of content below ``manifest`` that is not here.

    Foreign layers may be absent: their URLs say where they are.
    """
    for content in below(files, manifest):
        if not files.has(content) and not graph.stays_away(content):
            raise ManifestBlobUnknown(f"{manifest.digest} needs {content.digest}, which is not in {files.root}")


def below(files: BlobFiles, manifest: Manifest) -> Iterator[Descriptor]:
    """Yield what a manifest needs: blobs, manifests, and what those need as far as they are here and can be read.

    Each digest once.
    """
    seen = {manifest.digest}
    todo = [manifest]
    while todo:
        current = todo.pop()
        for content in (*graph.blobs_of(current), *graph.manifests_of(current)):
            if content.digest in seen:
                continue
            seen.add(content.digest)
            yield content
            if content.media_type in MANIFESTS:
                with suppress(ManifestUnknown, Invalid, TooLarge):
                    todo.append(read_manifest(files, content.digest, content.media_type))
