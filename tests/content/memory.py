"""A place for images in memory: a Source and a Sink whose writes can be cut anywhere and go on there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from dockyard.content.protocols import Outcome, Source
from dockyard.content.streams import closing
from dockyard.errors import BlobUnknown, DigestInvalid, ManifestBlobUnknown, ManifestUnknown, Unavailable
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image, make_index
from dockyard.oci.media_types import MANIFESTS, is_foreign
from dockyard.oci.platform import Platform

PIECE = 64 * 1024


class Memory:
    """Everything kept in dictionaries. ``cut_after`` is how many bytes it takes until the connection is cut once."""

    def __init__(self, piece: int = PIECE) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.manifests: dict[Digest, Manifest] = {}
        self.names: dict[str, Digest] = {}
        self.partial: dict[Digest, bytearray] = {}
        self.piece = piece
        self.cut_after: int | None = None
        self.received = 0
        self.opened: list[tuple[Digest, int]] = []

    async def manifest(self, name: str | Digest) -> Manifest:
        digest = name if isinstance(name, Digest) else self.names.get(name)
        if digest not in self.manifests:
            raise ManifestUnknown(f"no manifest {name}")
        return self.manifests[digest]

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        self.opened.append((blob.digest, start))
        if blob.digest not in self.blobs:
            raise BlobUnknown(f"no blob {blob.digest}")
        content = self.blobs[blob.digest]
        for at in range(start, len(content), self.piece):
            yield content[at : at + self.piece]

    async def has(self, content: Descriptor) -> bool:
        return content.digest in (self.manifests if content.media_type in MANIFESTS else self.blobs)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        if blob.digest in self.blobs:
            return Outcome.EXISTED
        partial = self.partial.setdefault(blob.digest, bytearray())
        async with closing(source.open(blob, len(partial))) as chunks:
            async for chunk in chunks:
                if self.cut_after is not None and self.received + len(chunk) > self.cut_after:
                    partial += chunk[: self.cut_after - self.received]
                    self.received, self.cut_after = self.cut_after, None
                    raise Unavailable("cut")
                self.received += len(chunk)
                partial += chunk
        content = bytes(self.partial.pop(blob.digest))
        if Digest.of(content, blob.digest.algorithm) != blob.digest:
            raise DigestInvalid(f"the content is not {blob.digest}")
        self.blobs[blob.digest] = content
        return Outcome.WRITTEN

    async def put(self, manifest: Manifest, name: str | None) -> None:
        for blob in manifest.blobs:
            if blob.digest not in self.blobs and not is_foreign(blob.media_type):
                raise ManifestBlobUnknown(f"no blob {blob.digest}")
        for child in manifest.manifests:
            if child.digest not in (self.manifests if child.media_type in MANIFESTS else self.blobs):
                raise ManifestBlobUnknown(f"no manifest {child.digest}")
        self.manifests[manifest.digest] = manifest
        if name is not None:
            self.names[name] = manifest.digest

    def add(self, content: bytes, media_type: str = media_types.OCI_LAYER_GZIP) -> Descriptor:
        """Put a blob in and return its descriptor."""
        digest = Digest.of(content)
        self.blobs[digest] = content
        return Descriptor(media_type, digest, len(content))

    def add_image(self, *layers: bytes, name: str | None = None, platform: Platform | None = None) -> Descriptor:
        """Put an image in and return the descriptor of its manifest."""
        system = platform or Platform("linux", "amd64")
        fields = f'{{"os":"{system.os}","architecture":"{system.architecture}","rootfs":{{"type":"layers"}}}}'
        config = self.add(fields.encode(), media_types.OCI_CONFIG)
        return self.add_manifest(make_image(config, [self.add(layer) for layer in layers]), name, platform)

    def add_index(self, *children: Descriptor, name: str | None = None) -> Descriptor:
        """Put an index in and return its descriptor."""
        return self.add_manifest(make_index(children), name)

    def add_manifest(self, manifest: Manifest, name: str | None = None, platform: Platform | None = None) -> Descriptor:
        """Put a manifest in, without asking whether its content is there."""
        self.manifests[manifest.digest] = manifest
        if name is not None:
            self.names[name] = manifest.digest
        return Descriptor(manifest.media_type, manifest.digest, len(manifest.raw), platform=platform)
