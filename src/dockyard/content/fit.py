"""Which platform an image is made for, where an index does not say it or there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content import graph
from dockyard.content.retry import Retry
from dockyard.content.streams import read_blob
from dockyard.errors import Invalid, ManifestUnknown
from dockyard.oci.image import ImageConfig
from dockyard.oci.manifest import make_index
from dockyard.oci.media_types import CONFIGS, IMAGES
from dockyard.oci.platform import runs_on

if TYPE_CHECKING:
    from dockyard.content.protocols import Source
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform


async def platform_of(source: Source, manifest: Manifest) -> Platform | None:
    """The platform that an image's config names; ``None`` for what has no such config."""
    config = manifest.config
    if config is None or config.media_type not in CONFIGS:
        return None
    return ImageConfig(await Retry()(lambda: read_blob(source, config))).platform


async def choose(source: Source, index: Manifest, wanted: Platform) -> Descriptor:
    """Return what an index has for a platform, by what it says, else by the configs of images it says nothing of.

    ManifestUnknown that says which platforms there are.
    """
    try:
        return graph.choose(index, wanted)
    except ManifestUnknown:
        if all(child.platform or child.media_type not in IMAGES for child in index.manifests):
            raise
    described = []
    for child in index.manifests:
        if child.platform is None and child.media_type in IMAGES:
            child = replace(child, platform=await platform_of(source, await source.manifest(child.digest)))
        described.append(child)
    return graph.choose(make_index(described), wanted)


async def refuse_misfit(
    source: Source, manifest: Manifest, wanted: Platform, what: object, *, asked: bool = True
) -> None:
    """Refuse an image of one platform for another: one asked for, or else one of another system. Invalid.

    An index passes, and so does what names no platform.
    """
    found = await platform_of(source, manifest)
    if found is None or not found.os or runs_on(found, wanted) or not (asked or found.os != wanted.os):
        return
    hint = None if asked else f"Pull it with --platform {found}, or use a context made for {found.os}."
    raise Invalid(
        f"image with reference {what} was found but its platform ({found}) does not match {wanted}", hint=hint
    )
