"""What an image consists of: the manifests below a name, their blobs, and the order in which to write them.

Source: OCI image specification, ``image-index.md`` and ``manifest.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.errors import ManifestInvalid, ManifestUnknown
from dockyard.oci.media_types import INDEXES, MANIFESTS, is_foreign
from dockyard.oci.platform import Platform, best_match

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest

MAX_MANIFESTS = 10_000
"""Manifests below one name; more is an attack or a mistake."""
MAX_DEPTH = 8
"""Indexes inside indexes."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One image, as it goes from place to place.

    ``root`` is what the name means, ``target`` what goes over and gets the name: the same, or the manifest of one
    platform. ``children`` are the manifests below ``target``, each after what it names itself; ``blobs`` is all the
    rest, each once, in the order of the manifests.
    """

    root: Manifest
    target: Manifest
    children: tuple[Manifest, ...]
    blobs: tuple[Descriptor, ...]


def choose(index: Manifest, wanted: Platform) -> Descriptor:
    """Return what an index has for a platform; raise ManifestUnknown that says which it has."""
    names = [child for child in index.manifests if child.media_type in MANIFESTS]
    chosen = best_match(wanted, [child.platform for child in names])
    if chosen is not None:
        return names[chosen]
    known = sorted({str(child.platform) for child in names if child.platform and child.platform.os != "unknown"})
    raise ManifestUnknown(
        f"no matching manifest for {wanted} in the manifest list entries",
        hint=f"The image is there for: {', '.join(known)}" if known else None,
    )


def collect(root: Manifest, target: Manifest, known: Callable[[Digest], Manifest]) -> Graph:
    """Put together the graph below ``target``; ``known`` gives each manifest that it names."""
    children: dict[Digest, Manifest] = {}
    blobs: dict[Digest, Descriptor] = {}

    def visit(manifest: Manifest) -> None:
        for blob in blobs_of(manifest):
            blobs.setdefault(blob.digest, blob)
        for child in manifests_of(manifest):
            if child.digest not in children:
                below = known(child.digest)
                visit(below)
                children[child.digest] = below

    visit(target)
    return Graph(root, target, tuple(children.values()), tuple(blobs.values()))


def manifests_of(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The manifests that an index names."""
    return tuple(child for child in manifest.manifests if child.media_type in MANIFESTS)


def blobs_of(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The blobs that a manifest names: config and layers; in an index what is no manifest, as build caches have."""
    return manifest.blobs + tuple(child for child in manifest.manifests if child.media_type not in MANIFESTS)


def stays_away(blob: Descriptor) -> bool:
    """Whether a registry is not to be given a layer, because its own URLs say where it is."""
    return is_foreign(blob.media_type) and bool(blob.urls)


async def load(
    root: Manifest, target: Manifest, fetch: Callable[[Iterable[Descriptor]], Awaitable[list[Manifest]]]
) -> Graph:
    """Load the manifests below ``target``, which is ``root`` or was picked from it, with ``fetch``, level by level."""
    manifests: dict[Digest, Manifest] = {}
    level = {child.digest: child for child in manifests_of(target)}
    for _ in range(MAX_DEPTH):
        if not level:
            return collect(root, target, manifests.__getitem__)
        if len(manifests) + len(level) > MAX_MANIFESTS:
            raise ManifestInvalid(f"{root.digest} names more than {MAX_MANIFESTS} manifests")
        found = await fetch(level.values())
        for child, manifest in zip(level.values(), found, strict=True):
            if (manifest.media_type in INDEXES) != (child.media_type in INDEXES):
                raise ManifestInvalid(f"{child.digest} is not what the index says: {child.media_type}")
        manifests |= zip(level, found, strict=True)
        below = {child.digest: child for manifest in found for child in manifests_of(manifest)}
        level = {digest: child for digest, child in below.items() if digest not in manifests}
    raise ManifestInvalid(f"{root.digest} has more than {MAX_DEPTH} indexes inside each other")
