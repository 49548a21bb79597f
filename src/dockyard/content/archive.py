"""Archives of images: what ``docker save`` makes, in its old and its new form, and OCI layouts in a tar.

``index.json`` says what is in the new form and in an OCI archive, ``manifest.json`` in the old form; the new form has
both, and then ``manifest.json`` adds names. Each layer is read once when the archive is opened: its bytes must be
what its digest says, and what they unpack to what the image's config says.

The layers of a docker archive are plain tars. Sent to a registry so, they would be three times as large as they need
be, and some clients refuse them: they become gzip layers here, once, and the manifest is made for those. The image's
ID doesn't change by that: it is the digest of the config, whose diff IDs are of plain tars. What comes compressed, and
whatever an OCI archive holds, stays as it is to the byte.

Sources: OCI image specification, ``image-layout.md``; docker's Image Specification v1.2, "Combined Image JSON +
Filesystem Changeset Format".
"""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockyard.content import graph
from dockyard.content.archived_layers import ArchivedLayer, check_layer
from dockyard.content.entries import IMAGE_NAME, MAX_INDEX, name_of, parse_entries
from dockyard.content.files import pieces
from dockyard.content.streams import MAX_CONFIG, closing
from dockyard.content.tar_files import TarFiles
from dockyard.errors import ArchiveInvalid, BlobUnknown, Invalid, ManifestUnknown
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.image import ImageConfig
from dockyard.oci.manifest import MAX_MANIFEST, Manifest, make_image, parse_manifest
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import BinaryIO, Self

    from dockyard.content.tar_files import Place
    from dockyard.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Archived:
    """One image of an archive. ``label`` is its name inside the archive, which may be no image's name."""

    target: Descriptor
    names: tuple[Reference, ...] = ()
    label: str = ""


class Archive:
    """A Source of the images in an archive. Close it in the end."""

    def __init__(self, file: BinaryIO, *, scratch: Path | None = None) -> None:
        """Index and check ``file``, which stays the caller's to close; pipes and compressed files are fine.

        ``scratch`` is a folder for temporary files. ArchiveInvalid says what is wrong; Full.
        """
        self._scratch = scratch or Path(tempfile.gettempdir())
        self._manifests: dict[Digest, Manifest] = {}
        self._places: dict[Digest, Place] = {}
        self._configs: dict[Digest, bytes] = {}
        self._made: list[BinaryIO] = []
        self._tar = TarFiles(file, scratch=scratch)
        try:
            self._is_docker = "manifest.json" in self._tar
            self.images = self._read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the temporary files."""
        self._tar.close()
        for file in self._made:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, name: str) -> Archived:
        """Return the image called ``name``, the only one for ``""``. ManifestUnknown."""
        if not name and len(self.images) == 1:
            return self.images[0]
        wanted = None
        with suppress(Invalid):
            wanted = parse_reference(name).tagged()
        for image in self.images:
            if name and (name == image.label or wanted in image.names):
                return image
        known = ", ".join(sorted({str(name) for image in self.images for name in image.names or [image.label]})[:20])
        what = f"no image called {name!r}" if name else "several images: say which"
        raise ManifestUnknown(f"the archive has {what}", hint=f"There are: {known}" if known else None)

    def has(self, manifest: Digest) -> bool:
        """Whether the archive has a manifest, as an index may name more than were saved."""
        return manifest in self._manifests

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return a manifest; one whose layers are compressed here is made for those."""
        digest = name if isinstance(name, Digest) else self.find(name).target.digest
        if digest not in self._manifests:
            raise ManifestUnknown(f"manifest {digest} is not in the archive")
        return self._manifests[digest]

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield a blob's bytes from ``start``; BlobUnknown."""
        if (raw := self._configs.get(blob.digest)) is not None:
            yield raw[start:]
            return
        place = self._places.get(blob.digest) or self._blob(blob.digest)
        if place is None:
            raise BlobUnknown(f"blob {blob.digest} is not in the archive")
        async with closing(pieces(place.descriptor, place.offset + start, place.offset + place.size)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _read(self) -> tuple[Archived, ...]:
        found: list[Archived] = []
        if "index.json" in self._tar:
            fields = self._json("index.json", MAX_INDEX)
            found = [self._from_layout(entry) for entry in parse_entries(fields, "the archive")]
        if self._is_docker:
            for item in self._docker_items():
                self._add_docker(found, item)
        elif "index.json" not in self._tar:
            raise ArchiveInvalid(
                "the archive holds no images: it has neither manifest.json nor index.json",
                hint="A root file system becomes an image with 'dockyard image import'.",
            )
        return tuple(found)

    def _from_layout(self, entry: Descriptor) -> Archived:
        label = name_of(entry)
        # A label such as ``latest`` is a tag inside the archive, not an image's name.
        texts = [entry.annotations.get(IMAGE_NAME, ""), label if ":" in label or "/" in label else ""]
        names = [name for text in texts if (name := _full_name(text))]
        target = self._load(entry)
        return Archived(target.descriptor, tuple(dict.fromkeys(names)), label)

    def _load(self, stated: Descriptor, depth: int = 0) -> Manifest:
        """Read a manifest and what is below it, checked; return it, or what is given in its stead."""
        if stated.digest in self._manifests:
            return self._manifests[stated.digest]
        place = self._blob(stated.digest)
        if place is None or depth > graph.MAX_DEPTH:
            raise ArchiveInvalid(f"the archive does not have {stated.digest}, which it names")
        if place.size > MAX_MANIFEST:
            raise ArchiveInvalid(f"manifest {stated.digest} has {place.size} bytes; the limit is {MAX_MANIFEST}")
        raw = place.read()
        if Digest.of(raw, stated.digest.algorithm) != stated.digest:
            raise ArchiveInvalid(f"manifest {stated.digest} in the archive is damaged")
        try:
            manifest = parse_manifest(raw, stated.media_type)
        except Invalid as error:
            raise ArchiveInvalid(f"manifest {stated.digest} in the archive: {error.message}") from None
        for child in graph.manifests_of(manifest):
            # Some tools save an index with the one platform that they have.
            if self._blob(child.digest):
                self._load(child, depth + 1)
        if manifest.config and manifest.config.media_type in media_types.CONFIGS:
            manifest = self._checked(manifest, manifest.config, compress=self._is_docker and depth == 0)
        else:
            for blob in graph.blobs_of(manifest):
                self._whole(blob, "blob")
        self._manifests[manifest.digest] = manifest
        self._manifests[stated.digest] = manifest
        return manifest

    def _checked(self, manifest: Manifest, stated: Descriptor, *, compress: bool) -> Manifest:
        """Check an image's layers against its config; return its manifest, made anew where layers were compressed."""
        place = self._whole(stated, "config")
        if place is None or place.size > MAX_CONFIG:
            raise ArchiveInvalid(f"config {stated.digest} in the archive has over {MAX_CONFIG} bytes")
        config = ImageConfig(place.read())
        if Digest.of(config.raw, stated.digest.algorithm) != stated.digest:
            raise ArchiveInvalid(f"config {stated.digest} in the archive is damaged")
        sources = [(self._whole(layer, "layer"), layer, f"layer {layer.digest}") for layer in manifest.layers]
        layers = self._layers(config, sources, compress=compress)
        kept = [made.descriptor if made else layer for made, layer in zip(layers, manifest.layers, strict=True)]
        if [layer.digest for layer in kept] == [layer.digest for layer in manifest.layers]:
            return manifest
        fields = {**manifest.fields, "layers": [layer.fields() for layer in kept]}
        return Manifest(strict_json.dump(fields), manifest.media_type)

    def _layers(
        self, config: ImageConfig, sources: Sequence[tuple[Place | None, Descriptor | None, str]], *, compress: bool
    ) -> list[ArchivedLayer | None]:
        """Check each layer against its diff ID, several at once; those that are not here are ``None``."""
        try:
            diff_ids = config.diff_ids
        except Invalid as error:
            raise ArchiveInvalid(f"config {config.digest} in the archive: {error.message}") from None
        if len(diff_ids) != len(sources):
            raise ArchiveInvalid(
                f"the archive has {len(sources)} layers for an image whose config {config.digest} says {len(diff_ids)}"
            )

        def check(source: tuple[Place | None, Descriptor | None, str], diff_id: Digest) -> ArchivedLayer | None:
            place, stated, what = source
            if place is None:
                return None
            layer = check_layer(place, diff_id, stated, what=what, compress=compress, scratch=self._scratch)
            if layer.made:
                self._made.append(layer.made)
            return layer

        with ThreadPoolExecutor(os.cpu_count(), "archive") as threads:
            jobs = [threads.submit(check, source, diff_id) for source, diff_id in zip(sources, diff_ids, strict=True)]
            try:
                layers = [job.result() for job in jobs]
            finally:
                for job in jobs:
                    job.cancel()
        for layer in layers:
            if layer:
                self._places[layer.descriptor.digest] = layer.place
        return layers

    def _docker_items(self) -> list[dict[str, Any]]:
        raw = self._tar.read("manifest.json", limit=MAX_INDEX)
        try:
            items = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ArchiveInvalid(f"manifest.json in the archive is not valid JSON: {error}") from None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ArchiveInvalid("manifest.json in the archive is not a list of images")
        return items

    def _add_docker(self, found: list[Archived], item: dict[str, Any]) -> None:
        """Take in one image of ``manifest.json``, or its names where ``index.json`` had it."""
        layers, tags = item.get("Layers") or [], item.get("RepoTags") or []
        if not isinstance(item.get("Config"), str) or not _texts(layers) or not _texts(tags):
            raise ArchiveInvalid("manifest.json in the archive: an image needs Config, Layers and RepoTags")
        config = ImageConfig(self._tar.read(item["Config"], limit=MAX_CONFIG))
        given = {name for image in found for name in image.names}
        names = [name for tag in tags if (name := _full_name(tag)) and name not in given]
        for position, image in enumerate(found):
            if config.digest in self._configs_below(image.target.digest):
                found[position] = replace(image, names=(*image.names, *dict.fromkeys(names)))
                return
        sources = [(self._tar.place(layer), None, f"layer {layer[:200]}") for layer in layers]
        made = self._layers(config, sources, compress=True)
        descriptor = Descriptor(media_types.OCI_CONFIG, config.digest, len(config.raw))
        manifest = make_image(descriptor, [layer.descriptor for layer in made if layer])
        self._configs[config.digest] = config.raw
        self._manifests[manifest.digest] = manifest
        found.append(Archived(manifest.descriptor, tuple(names)))

    def _configs_below(self, digest: Digest) -> set[Digest]:
        """The configs of an image, or of an index's images as far as they are here."""
        manifest = self._manifests.get(digest)
        if manifest is None:
            return set()
        below = [self._configs_below(child.digest) for child in graph.manifests_of(manifest)]
        return set().union(*below) | ({manifest.config.digest} if manifest.config else set())

    def _json(self, name: str, limit: int) -> dict[str, Any]:
        return strict_json.parse_object(self._tar.read(name, limit=limit), f"{name} in the archive", ArchiveInvalid)

    def _whole(self, blob: Descriptor, what: str) -> Place | None:
        """Where a blob is, with the size that it should have; ``None`` for an absent layer that is elsewhere."""
        place = self._blob(blob.digest)
        if place is None and not graph.stays_away(blob):
            raise ArchiveInvalid(f"the archive does not have the {what} {blob.digest}, which it names")
        if place and place.size != blob.size:
            raise ArchiveInvalid(f"{what} {blob.digest} in the archive has {place.size} bytes, not {blob.size}")
        return place

    def _blob(self, digest: Digest) -> Place | None:
        name = f"blobs/{digest.algorithm}/{digest.hex}"
        return self._tar.place(name) if name in self._tar else None


def _full_name(text: str) -> Reference | None:
    """The image's name that ``text`` is, if it is one."""
    try:
        reference = parse_reference(text)
    except Invalid:
        return None
    return None if reference.digest else reference.tagged()


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
