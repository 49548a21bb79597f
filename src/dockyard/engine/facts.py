"""What listings show of each image, read from its content once and remembered in a small file.

The file is a cache by digest, so it can't be out of date: it may be lost, and who can't write it goes without.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content import graph
from dockyard.content.layout import below
from dockyard.engine.times import moment
from dockyard.errors import DockyardError
from dockyard.oci.digest import Digest
from dockyard.oci.image import ImageConfig
from dockyard.oci.media_types import CONFIGS, MANIFESTS
from dockyard.oci.platform import best_match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform

_VERSION = 1
MAX_CONFIG = 16 * 1024 * 1024
"""Bytes of a config that is read whole into memory."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One target: its image's ID, when it was made (seconds since 1970, 0 unknown), its size in bytes, its platform.

    The size is that of configs and layers as they lie in the store. ``whole`` is false where some could not be read.
    """

    id: Digest
    created: float
    size: int
    platform: str
    whole: bool = True


def facts_of(images: Images, entries: Iterable[Descriptor]) -> dict[Digest, Facts]:
    """Return the facts of each entry's target."""
    targets = {entry.digest: entry for entry in entries}
    cache = images.root / "facts.json"
    known = _load(cache)
    found = {digest: known[digest] for digest in targets if digest in known}
    if lost := [target for digest, target in targets.items() if digest not in found]:
        fresh = {target.digest: read_facts(images, target) for target in lost}
        with suppress(OSError):
            _save(cache, found | {digest: facts for digest, facts in fresh.items() if facts.whole})
        found |= fresh
    return found


def forget_facts(images: Images) -> None:
    """Remove the cache: the next listing reads the content, and makes it anew."""
    with suppress(FileNotFoundError):
        os.unlink(images.root / "facts.json")


def read_facts(images: Images, target: Descriptor) -> Facts:
    """Read the facts from the content; of what can't be read, only the digest is known."""
    try:
        manifest = images.read(target.digest, target.media_type)
        sizes = [images.files.size(blob.digest) for blob in below(images.files, manifest) if not _is_manifest(blob)]
        config = image_config(images, image_of(images, manifest))
    except DockyardError:
        return Facts(target.digest, 0.0, 0, "", whole=False)
    size, whole = sum(found or 0 for found in sizes), None not in sizes
    if config is None:
        made = manifest.annotations.get("org.opencontainers.image.created", "")
        return Facts(target.digest, moment(made), size, "", whole)
    return Facts(config.digest, moment(config.created), size, str(config.platform), whole)


def image_of(images: Images, manifest: Manifest, platform: Platform | None = None) -> Manifest | None:
    """The image that a target means in this store: itself, or what an index has here for the platform, the store's."""
    if not manifest.is_index:
        return manifest
    here = [child for child in graph.manifests_of(manifest) if images.files.has(child)]
    wanted = platform or images.platform
    chosen = best_match(wanted, [child.platform for child in here])
    if chosen is None:
        chosen = best_match(wanted, [None if child.platform else _stated(images, child) for child in here])
    if chosen is None:
        return None
    return image_of(images, images.read(here[chosen].digest, here[chosen].media_type), wanted)


def _stated(images: Images, child: Descriptor) -> Platform | None:
    """What an image says of itself where its index says nothing."""
    manifest = images.read(child.digest, child.media_type)
    config = None if manifest.is_index else image_config(images, manifest)
    return config.platform if config else None


def image_config(images: Images, manifest: Manifest | None) -> ImageConfig | None:
    """The config of an image; ``None`` for an artifact, whose config says something else."""
    if manifest is None or manifest.config is None or manifest.config.media_type not in CONFIGS:
        return None
    config = ImageConfig(images.files.read(manifest.config.digest, limit=MAX_CONFIG))
    _ = config.fields
    return config


def _is_manifest(content: Descriptor) -> bool:
    return content.media_type in MANIFESTS


def _load(path: os.PathLike[str]) -> dict[Digest, Facts]:
    try:
        with open(path, "rb") as file:
            fields = json.load(file)
        if fields["version"] != _VERSION:
            return {}
        return {
            Digest.parse(digest): Facts(Digest.parse(image), float(created), int(size), str(platform))
            for digest, (image, created, size, platform) in fields["facts"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, DockyardError):
        return {}


def _save(path: os.PathLike[str], facts: dict[Digest, Facts]) -> None:
    fields = {str(digest): [str(fact.id), fact.created, fact.size, fact.platform] for digest, fact in facts.items()}
    beside = f"{os.fspath(path)}.{os.urandom(8).hex()}"
    try:
        with open(beside, "x") as file:
            json.dump({"version": _VERSION, "facts": fields}, file)
        os.replace(beside, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)
