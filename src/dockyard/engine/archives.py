"""Save and load: images to an archive and back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from dockyard.content import graph
from dockyard.content.archive import Archive
from dockyard.content.copy import copy
from dockyard.content.entries import annotated
from dockyard.content.fit import choose, refuse_misfit
from dockyard.content.packing import Form, pack
from dockyard.engine.facts import facts_of, image_of
from dockyard.engine.lookup import find
from dockyard.engine.naming import reference_of
from dockyard.engine.reach import Reach
from dockyard.engine.reports import Loaded
from dockyard.errors import ArchiveInvalid, Invalid
from dockyard.oci.manifest import make_index
from dockyard.oci.platform import Platform, runs_on
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import Reference


def save(
    images: Images, names: Names, wanted: Sequence[str], out: BinaryIO, *, form: Form, platform: Platform | None
) -> None:
    """Write images as one archive; a repository without a tag means all its tags."""
    entries = images.entries.read()
    chosen: dict[Descriptor, list[Reference]] = {}
    for text in wanted:
        for target, reference in _meant(images, names, text, entries):
            if platform:
                target = _of_platform(images, target, platform)
            given = chosen.setdefault(target, [])
            given += [reference] if reference and reference not in given else []
    with images.session() as source:
        source.hold(*Reach(source).of(chosen))
        pack(out, source.files, list(chosen.items()), form)


def _meant(
    images: Images, names: Names, text: str, entries: list[Descriptor]
) -> Sequence[tuple[Descriptor, Reference | None]]:
    """Targets without annotations, and the tags they are saved with."""
    with suppress(Invalid):
        if not ((bare := parse_reference(text, default_registry=names.default_registry)).tag or bare.digest):
            for reference in names.expand(text):
                tags = [(entry, name) for entry in entries if (name := reference_of(entry)) and not name.digest]
                if found := [(annotated(entry), name) for entry, name in tags if name.name == reference.name]:
                    return found
    meant = find(images, names, text, entries)
    called = parse_reference(meant.name) if meant.name else None
    return [(annotated(meant.newest), called if called and not called.digest else None)]


def _of_platform(images: Images, target: Descriptor, wanted: Platform) -> Descriptor:
    manifest = images.read(target.digest, target.media_type)
    if manifest.is_index:
        if image := image_of(images, manifest, wanted):
            return image.descriptor
        here = make_index([child for child in graph.manifests_of(manifest) if images.files.has(child)])
        return graph.choose(here, wanted)  # says what there is
    found = facts_of(images, [target])[target.digest].platform
    if found and not runs_on(Platform.parse(found), wanted):
        raise Invalid(f"image with digest {target.digest} was found but its platform ({found}) is not {wanted}")
    return target


def load(images: Images, source: BinaryIO, *, platform: Platform | None) -> list[Loaded]:
    """Take in every image of an archive, or of each what it has for ``platform``."""
    images.make()
    with Archive(source, scratch=images.files.ingest) as archive:
        return asyncio.run(_load(images, archive, platform))


async def _load(images: Images, archive: Archive, platform: Platform | None) -> list[Loaded]:
    loaded: list[Loaded] = []
    for image in archive.images:
        with images.session() as sink:
            root = await archive.manifest(image.target.digest)
            chosen = await _choose(archive, root, platform or images.platform, asked=platform is not None)
            copied = await copy(archive, sink, chosen, to=None)
            target = copied.manifest.descriptor
            sink.keep(root)
            sink.name(target, image.names, index=root.digest)
            found = facts_of(sink, [target])[target.digest].id
            loaded += [Loaded(found, name) for name in image.names] or [Loaded(found)]
    return loaded


async def _choose(archive: Archive, root: Manifest, wanted: Platform, *, asked: bool) -> Digest:
    """The whole image, or of an index with holes what is there for the platform."""
    if not root.is_index:
        if asked:
            await refuse_misfit(archive, root, wanted, root.digest)
        return root.digest
    children = graph.manifests_of(root)
    here = [child for child in children if archive.has(child.digest)]
    if here == list(children) and not asked:
        return root.digest
    if not here:
        raise ArchiveInvalid(f"the archive has nothing of what the index {root.digest} names")
    return (await choose(archive, make_index(here), wanted)).digest
