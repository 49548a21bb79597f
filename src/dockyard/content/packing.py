"""Archives of images written: the same images give the same bytes.

``docker`` is what ``docker save`` makes since version 25: an OCI layout with docker's ``manifest.json`` and
``repositories`` in it. ``oci`` is the layout alone, as other tools exchange it. Layers stay as they are, compressed as
a rule; docker, podman and skopeo unpack them as they load.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dockyard.content.entries import IMAGE_NAME, REF_NAME, annotated
from dockyard.content.files import damaged
from dockyard.content.folders import storage_errors, sync_folder
from dockyard.content.layout import Layout, below, read_manifest, refuse_incomplete
from dockyard.content.protocols import CHUNK
from dockyard.errors import ManifestUnknown
from dockyard.oci import media_types, strict_json
from dockyard.oci.digest import Hasher
from dockyard.oci.platform import best_match, host_platform
from dockyard.oci.reference import familiar, parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from typing import BinaryIO, Self

    from dockyard.content.files import BlobFiles
    from dockyard.content.protocols import Outcome, Source
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import Reference

Form = Literal["docker", "oci"]
_FILLING = 10_240  # tar programs write records of twenty blocks


def pack(out: BinaryIO, files: BlobFiles, images: Sequence[tuple[Descriptor, Sequence[Reference]]], form: Form) -> None:
    """Write images, each with its names, from a layout's blobs; blobs in the order of their digests."""
    entries = [
        annotated(target, **{IMAGE_NAME: str(name), REF_NAME: str(name) if form == "oci" else str(name.tag)})
        for target, names in images
        for name in names
    ]
    entries += [annotated(target) for target, names in images if not names]
    _pack(out, files, entries, images if form == "docker" else None)


def _pack(
    out: BinaryIO,
    files: BlobFiles,
    entries: Sequence[Descriptor],
    docker: Sequence[tuple[Descriptor, Sequence[Reference]]] | None,
) -> None:
    """Write what ``entries`` of ``index.json`` name, and the files that say it in docker's way."""
    manifests = [read_manifest(files, entry.digest, entry.media_type) for entry in entries]
    for manifest in manifests:
        refuse_incomplete(files, manifest)
    blobs = {manifest.digest for manifest in manifests}
    for manifest in manifests:
        blobs |= {content.digest for content in below(files, manifest) if files.has(content)}
    archive = _Tar(out)
    for folder in ("blobs", *(f"blobs/{algorithm}" for algorithm in sorted({digest.algorithm for digest in blobs}))):
        archive.folder(folder)
    for digest in sorted(blobs):
        archive.blob(_path(digest), digest, files.path(digest))
    index = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [entry.fields() for entry in entries],
    }
    archive.file("index.json", strict_json.dump(index))
    items, repositories = _docker_files(files, docker or [])
    if docker is not None:
        archive.file("manifest.json", strict_json.dump(items))
    archive.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    if repositories:
        archive.file("repositories", strict_json.dump(repositories))
    archive.finish()


def _docker_files(
    files: BlobFiles, images: Iterable[tuple[Descriptor, Sequence[Reference]]]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """``manifest.json``, and ``repositories``: for each name the hash of its highest layer."""
    items: dict[Digest, dict[str, Any]] = {}
    repositories: dict[str, dict[str, str]] = {}
    for target, names in images:
        image = _image(files, read_manifest(files, target.digest, target.media_type))
        if image is None or image.config is None or image.config.media_type not in media_types.CONFIGS:
            continue  # an artifact, which docker has no place for
        layers = [_path(layer.digest) for layer in image.layers]
        item: dict[str, Any] = {"Config": _path(image.config.digest), "RepoTags": [], "Layers": layers}
        item = items.setdefault(image.config.digest, item)
        item["RepoTags"] += [familiar(name) for name in names]
        for name in names:
            if image.layers:
                short = familiar(type(name)(name.registry, name.repository))
                repositories.setdefault(short, {})[str(name.tag)] = image.layers[-1].digest.hex
    return list(items.values()), repositories


def _image(files: BlobFiles, manifest: Manifest) -> Manifest | None:
    """The image that docker is to see: of an index the one for this machine, else the first that is here."""
    if not manifest.is_index:
        return manifest
    here = [child for child in manifest.manifests if child.media_type in media_types.MANIFESTS and files.has(child)]
    if not here:
        return None
    wanted = host_platform("linux", os.uname().machine)
    chosen = here[best_match(wanted, [child.platform for child in here]) or 0]
    return _image(files, read_manifest(files, chosen.digest, chosen.media_type))


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


class NewArchive:
    """A Sink that becomes an archive at ``path`` when its ``async with`` ends well; else it leaves nothing.

    What comes is kept in a folder beside until then, so that blobs may come in any order and several at once. A name
    is an image's in docker's form, and any text in the other, as in a layout.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self._path, self._form = path, form
        self._open = ExitStack()
        self._names: list[tuple[Descriptor, list[Reference]]] = []

    async def __aenter__(self) -> Self:
        with storage_errors(self._path):
            folder = tempfile.TemporaryDirectory(prefix=f".{self._path.name}.", dir=self._path.parent)
            self._layout = Layout(Path(self._open.enter_context(folder)))
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        import asyncio

        try:
            if kind is None:
                await asyncio.to_thread(self._write)
        finally:
            await asyncio.to_thread(self._open.close)

    async def has(self, content: Descriptor) -> bool:
        """Whether the content has come."""
        return await self._layout.has(content)

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Take a blob."""
        return await self._layout.write(blob, source)

    async def put(self, manifest: Manifest, name: str | None) -> None:
        """Take a manifest; ``""`` keeps it in the archive as an image without a name."""
        await self._layout.put(manifest, name if self._form == "oci" else None)
        if name is not None and self._form == "docker":
            named = [parse_reference(name).tagged()] if name else []
            self._names = [entry for entry in self._names if not named or entry[1] != named]
            self._names.append((manifest.descriptor, named))

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return what has come."""
        if isinstance(name, str) and self._form == "docker":
            wanted = parse_reference(name).tagged()
            for target, names in self._names:
                if wanted in names:
                    return await self._layout.manifest(target.digest)
            raise ManifestUnknown(f"{self._path} has no image called {name!r} yet")
        return await self._layout.manifest(name)

    def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield what has come."""
        return self._layout.open(blob, start)

    def _write(self) -> None:
        beside = self._layout.root / "archive.tar"
        with storage_errors(self._path):
            with beside.open("wb") as out:
                if self._form == "docker":
                    pack(out, self._layout.files, self._names, self._form)
                else:
                    _pack(out, self._layout.files, self._layout.entries.read(), None)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self._path)
            sync_folder(self._path.parent)


class _Tar:
    """A tar with nothing in its headers that differs between two runs: no owner, no time."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._size = out, 0

    def folder(self, name: str) -> None:
        self._header(name + "/", 0, tarfile.DIRTYPE, 0o755)

    def file(self, name: str, content: bytes) -> None:
        self._header(name, len(content), tarfile.REGTYPE, 0o644)
        self._put(content)
        self._fill(512)

    def blob(self, name: str, digest: Digest, path: Path) -> None:
        """Add a blob, and refuse one whose bytes are no longer what its digest says. DigestInvalid."""
        hasher = Hasher(digest.algorithm)
        with path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            self._header(name, left, tarfile.REGTYPE, 0o644)
            while left and (piece := file.read(min(CHUNK, left))):
                self._put(piece)
                hasher.update(piece)
                left -= len(piece)
        if left or hasher.digest() != digest:
            raise damaged(path, digest)
        self._fill(512)

    def finish(self) -> None:
        self._put(bytes(1024))
        self._fill(_FILLING)

    def _header(self, name: str, size: int, kind: bytes, mode: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.type, member.mode = size, kind, mode
        self._put(member.tobuf(tarfile.PAX_FORMAT))

    def _fill(self, block: int) -> None:
        self._put(bytes(-self._size % block))

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._size += len(data)
