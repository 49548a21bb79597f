"""An engine's images: local names over an OCI image layout that any OCI tool can read.

::

    STORE/index.json, oci-layout, blobs/    the layout; names are full, such as docker.io/library/alpine:3.20
    STORE/ingest/                           blobs on their way in (content/files) and out (engine/reach)
    STORE/leases/                           what processes at work rely on (engine/leases)
    STORE/origins/<hex>                     where a blob has been pushed to or pulled from (engine/origins)
    STORE/facts.json                        a cache for listings (engine/facts)

``index.json`` is the only place where names are. An entry without a name keeps an image that lost its last one. A
tag, and a digest that a registry knows an image by (``name@sha256:…``), are entries alike. Where one platform of an
index was pulled, the entry is the platform's manifest; an annotation (engine/naming) says which index, and the bytes
of that stay too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dockyard.content.entries import Entries
from dockyard.content.files import BlobFiles
from dockyard.content.folders import make_folder, storage_errors
from dockyard.content.layout import read_manifest, refuse_incomplete
from dockyard.engine.leases import Lease
from dockyard.engine.naming import assign, full_name
from dockyard.errors import ImageUnknown, ManifestUnknown
from dockyard.oci.digest import Digest
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path
    from typing import Self

    from dockyard.content.protocols import Outcome, Source
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

_FOLDERS = ("ingest", "leases", "origins")


class Images:
    """One store as a Source and a Sink; names are full references.

    What a sink answers for stays until ``close``: leave a ``with`` once the content has its name. Reading names makes
    no folder and holds nothing. ``platform`` is what indexes are read for.
    """

    def __init__(self, root: Path, platform: Platform) -> None:
        self.root, self.platform = root, platform
        self.files, self.entries = BlobFiles(root), Entries(root)
        self._lease = Lease(root / "leases")

    def session(self) -> Images:
        """The same store with a lease of its own, for one operation. Use it in a ``with``."""
        return Images(self.root, self.platform)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lease."""
        self._lease.close()

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the store's lock, for milliseconds, making the store where there is none. Full, Unavailable."""
        self.make()
        with self.entries.locked(shared=shared):
            yield

    def make(self) -> None:
        """Make the store's folders, for their owner only."""
        if (self.root / _FOLDERS[-1]).is_dir():
            return
        with storage_errors(self.root):
            for folder in (*reversed(self.root.parents), self.root, *(self.root / name for name in _FOLDERS)):
                if not folder.is_dir():
                    make_folder(folder)

    def hold(self, *digests: Digest) -> None:
        """Keep content from being removed until ``close``, whether it is here yet or not."""
        with self.locked(shared=True):
            self._lease.add(digests)

    def read(self, digest: Digest, media_type: str | None = None) -> Manifest:
        """Return a manifest. ManifestUnknown; DigestInvalid where the file is damaged."""
        return read_manifest(self.files, digest, media_type)

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return what a full name or a digest means."""
        if isinstance(name, Digest):
            return self.read(name)
        wanted = str(parse_reference(name).tagged())
        for entry in self.entries.read():
            if full_name(entry) == wanted:
                return self.read(entry.digest, entry.media_type)
        raise ManifestUnknown(f"No such image: {name}")

    def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from ``start``; BlobUnknown."""
        return self.files.open(blob, start)

    async def has(self, content: Descriptor) -> bool:
        """Whether the blob or manifest is here; once it is asked for, no removal takes it away before ``close``."""
        import asyncio

        def held() -> bool:
            # A removal holds the lock alone: either it sees the lease, or this sees what it has left.
            with self.locked(shared=True):
                self._lease.add([content.digest])
                return self.files.has(content)

        return await asyncio.to_thread(held)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Take a blob, going on where an earlier try stopped, also one of another process."""
        import asyncio

        await asyncio.to_thread(self.hold, blob.digest)
        return await self.files.write(blob, source)

    async def put(self, manifest: Manifest, name: str | None) -> None:
        """Take a manifest whose content is here; with a name it is an image from then on. ManifestBlobUnknown."""
        import asyncio

        references = [] if name is None else [parse_reference(name).tagged()]
        await asyncio.to_thread(self.keep, manifest)
        await asyncio.to_thread(refuse_incomplete, self.files, manifest)
        if references:
            await asyncio.to_thread(self.name, manifest.descriptor, references)

    def keep(self, manifest: Manifest) -> None:
        """Write a manifest's bytes, whatever it needs, and hold them."""
        self.hold(manifest.digest)
        self.files.put(manifest.raw, manifest.digest)

    def name(self, target: Descriptor, references: Iterable[Reference], *, index: Digest | None = None) -> None:
        """Give a manifest names, which others lose; with none it is kept as an image without a name.

        ``index`` is what it was picked from. ManifestBlobUnknown unless all that it needs is here.
        """
        manifest = self.read(target.digest, target.media_type)
        with self.locked():
            refuse_incomplete(self.files, manifest)
            self.entries.write(assign(self.entries.read(), target, references, index))

    def alias(self, target: Descriptor, reference: Reference) -> None:
        """Give an image one more name. ImageUnknown where it was removed meanwhile."""
        with self.locked():
            entries = self.entries.read()
            if all(entry.digest != target.digest for entry in entries):
                raise ImageUnknown(f"No such image: {target.digest}")
            self.entries.write(assign(entries, target, [reference], None))
