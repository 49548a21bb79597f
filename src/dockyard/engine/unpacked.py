"""Giving up what was made of layers beside them, unpacked files and indexes, once nothing needs the layers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dockyard.engine.cache import BuildCache
from dockyard.engine.facts import image_config, image_of
from dockyard.engine.layer_trees import forget_indexes
from dockyard.engine.snapshots import Snapshots, disk_size
from dockyard.errors import DigestInvalid, DockyardError
from dockyard.oci.digest import Digest
from dockyard.oci.image import next_chain

if TYPE_CHECKING:
    from dockyard.engine.images import Images


def unpacked_size(images: Images) -> int:
    """Bytes of unpacked layers, which go with their images and records."""
    return sum(Snapshots(images).sizes().values())


def mounts_size(images: Images) -> int:
    """Bytes of cache mounts, and of what ADD fetched."""
    folders = [images.root / name for name in ("cache-mounts", "fetched")]
    return sum(disk_size(folder) for folder in folders if folder.is_dir())


def release(images: Images) -> int:
    """Remove unpacked layers that no image, record of the build cache or live lease needs; bytes that came free."""
    chains: set[Digest] = set()
    diff_ids: set[Digest] = set()
    for entry in images.entries.read():
        with suppress(DockyardError):  # damaged: what can't be read keeps nothing unpacked
            config = image_config(images, image_of(images, images.read(entry.digest, entry.media_type)))
            chain = None
            for diff_id in config.diff_ids if config else ():
                chain = next_chain(chain, diff_id)
                chains.add(chain)
                diff_ids.add(diff_id)
    for _, record, *_ in BuildCache(images.root).records():
        with suppress(DigestInvalid):
            chains.add(Digest.parse(record.chain))
        if record.layer:
            diff_ids.add(record.layer.diff_id)
    forget_indexes(images, diff_ids)
    return Snapshots(images).remove_unreached(chains)
