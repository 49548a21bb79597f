"""The files of a stack of layers by the indexes of its layers, which are made once each and kept beside the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content.index import LayerIndex
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.engine.index_tree import IndexTree

if TYPE_CHECKING:
    from pathlib import Path

    from dockyard.engine.build_state import Layer
    from dockyard.engine.images import Images
    from dockyard.oci.digest import Digest

FILES = "Files/"
"""Where the files are in a layer of Windows."""


def index_path(images: Images, diff_id: Digest) -> Path:
    """Where the index of a layer is kept: by its diff ID, as it is about the plain files."""
    return images.root / "layer-indexes" / diff_id.hex


def frames_path(images: Images, digest: Digest) -> Path:
    """Where the table of a layer's frames is kept: by its own digest, as it is about the compressed bytes."""
    return images.root / "layer-frames" / digest.hex


def tree_of(images: Images, layers: Sequence[Layer], *, windows: bool = False) -> IndexTree:
    """What is in the layers, the lowest first. One that is not here, as of a Windows base, is as one of no files."""
    with ThreadPoolExecutor(2, "index") as threads:
        indexes = list(threads.map(lambda layer: _index(images, layer), layers))
    texts: dict[str, bytes] = {}
    for index in indexes:
        texts |= index.texts
    return IndexTree([_moved(index.entries) if windows else index.entries for index in indexes], texts)


def forget_indexes(images: Images, keep: set[Digest]) -> None:
    """Remove the indexes of layers that are not in ``keep`` (diff IDs), and tables of frames without their layer."""
    folder = images.root / "layer-indexes"
    names = {digest.hex for digest in keep}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in names:
            path.unlink(missing_ok=True)
    folder = images.root / "layer-frames"
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (images.root / "blobs" / "sha256" / path.name).exists():
            path.unlink(missing_ok=True)


def _index(images: Images, layer: Layer) -> LayerIndex:
    path = index_path(images, layer.diff_id)
    if found := LayerIndex.load(path):
        return found
    if not images.files.has(layer.descriptor):
        return LayerIndex([])
    made = LayerIndex.scan(images.files.path(layer.descriptor.digest))
    made.save(path)
    return made


def _moved(entries: Iterable[Entry]) -> list[Entry]:
    """The files of a Windows layer as the image's own paths."""
    moved = []
    for entry in entries:
        if entry.path.startswith(FILES):
            node = entry.node
            if node.kind in (Kind.HARDLINK, Kind.SYMLINK):
                node = replace(node, link=node.link.removeprefix(FILES))
            moved.append(Entry(entry.path.removeprefix(FILES), node))
    return moved
