"""Push and pull: one :func:`~dockyard.content.copy.copy` each, and what names it leaves in the store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content.copy import copy
from dockyard.content.fit import refuse_misfit
from dockyard.content.layout import below
from dockyard.content.plan import plan_copy
from dockyard.engine.facts import facts_of
from dockyard.engine.naming import full_name, index_of, reference_of
from dockyard.engine.origins import Origins
from dockyard.engine.reports import Pulled, PushDone
from dockyard.errors import ImageUnknown, Unsupported
from dockyard.oci.digest import Digest
from dockyard.oci.media_types import MANIFESTS
from dockyard.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dockyard.content.http import RegistryClient
    from dockyard.content.plan import Plan
    from dockyard.content.protocols import Event
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import RepositoryName

    Connect = Callable[[str], RegistryClient]
    Tell = Callable[[Event], None]


async def pull(
    images: Images,
    reference: Reference,
    connect: Connect,
    *,
    platform: Platform | None,
    all_platforms: bool,
    on_event: Tell | None,
    concurrency: int,
) -> Pulled:
    """Fetch what ``reference`` means and name it, with the digest that its registry knows it by."""
    wanted = None if all_platforms else platform or images.platform
    async with connect(reference.registry) as client:
        remote = client.repository(reference.repository)
        with images.session() as sink:
            root = await remote.manifest(reference.target)
            if wanted:
                await refuse_misfit(remote, root, wanted, reference, asked=platform is not None)
            # By digest: the tag may move meanwhile, and the check above was about this manifest.
            name = reference.digest or root.digest
            copied = await copy(
                remote, sink, name, to=None, platform=wanted, on_event=on_event, concurrency=concurrency
            )
            return await asyncio.to_thread(_name, sink, reference, copied.root, copied.manifest)


def _name(images: Images, reference: Reference, root: Manifest, manifest: Manifest) -> Pulled:
    digest = reference.digest or root.digest
    images.keep(root)
    known_as = Reference(reference.registry, reference.repository, digest=digest)
    named = [known_as] if reference.digest else [reference, known_as]
    target = manifest.descriptor
    index = None if root.digest == manifest.digest else root.digest
    before = {full_name(entry): (entry.digest, index_of(entry)) for entry in images.entries.read()}
    updated = any(before.get(str(name)) != (target.digest, index) for name in named)
    if updated:
        images.name(target, named, index=index)
    Origins(images.root).add(_blobs(images, manifest), reference.registry, reference.repository)
    return Pulled(reference, digest, facts_of(images, [target])[target.digest].id, updated)


async def push(
    images: Images,
    names: Names,
    reference: Reference,
    connect: Connect,
    *,
    platform: Platform | None,
    on_event: Tell | None,
    concurrency: int,
) -> PushDone:
    """Send what ``reference`` points to, and note by which digest its registry knows it from now on."""
    entry = _entry(images, names, reference)
    origins = Origins(images.root)
    async with connect(reference.registry) as client:
        with images.session() as source:
            await asyncio.to_thread(_hold, source, entry)
            if platform:
                await refuse_misfit(source, await source.manifest(entry.digest), platform, reference)
            copied = await copy(
                source,
                client.repository(reference.repository),
                entry.digest,
                to=str(reference.tag),
                platform=platform,
                origins=_others(origins, reference),
                on_event=on_event,
                concurrency=concurrency,
            )
            await asyncio.to_thread(_note, source, origins, reference, copied.manifest)
    return PushDone(reference, copied.manifest.digest, len(copied.manifest.raw))


async def plan_push(
    images: Images, names: Names, reference: Reference, connect: Connect, *, platform: Platform | None
) -> Plan:
    """What :func:`push` would do."""
    entry = _entry(images, names, reference)
    origins = _others(Origins(images.root), reference)
    async with connect(reference.registry) as client:
        remote = client.repository(reference.repository)
        return await plan_copy(images, remote, entry.digest, platform=platform, origins=origins)


async def remote_tags(reference: Reference, connect: Connect) -> list[Reference]:
    """Every tag of the reference's repository, as its registry lists them."""
    from dockyard.oci.reference import parse_tag

    async with connect(reference.registry) as client:
        return [reference.with_tag(parse_tag(tag)) async for tag in client.repository(reference.repository).tags()]


def _entry(images: Images, names: Names, reference: Reference) -> Descriptor:
    if reference.digest:
        raise Unsupported("cannot push a digest reference", hint="Push a tag.")
    entries = images.entries.read()
    for entry in entries:
        if full_name(entry) == str(reference):
            return entry
    if any((known := reference_of(entry)) and known.name == reference.name for entry in entries):
        raise ImageUnknown(f"tag does not exist: {names.shorten(reference)}")
    raise ImageUnknown(f"An image does not exist locally with the tag: {names.shorten(replace(reference, tag=None))}")


def _hold(images: Images, entry: Descriptor) -> None:
    from dockyard.engine.reach import Reach

    images.hold(*Reach(images).of([entry]))


def _note(images: Images, origins: Origins, reference: Reference, manifest: Manifest) -> None:
    known_as = Reference(reference.registry, reference.repository, digest=manifest.digest)
    with suppress(ImageUnknown):  # removed meanwhile, or one platform of an index that has the name
        images.alias(manifest.descriptor, known_as)
    origins.add(_blobs(images, manifest), reference.registry, reference.repository)


def _blobs(images: Images, manifest: Manifest) -> list[Digest]:
    return [content.digest for content in below(images.files, manifest) if content.media_type not in MANIFESTS]


def _others(origins: Origins, reference: Reference) -> Callable[[Digest], Iterable[RepositoryName]]:
    """Where a blob may be mounted from: the registry's other repositories that have had it."""
    return lambda digest: (name for name in origins.of(digest, reference.registry) if name != reference.repository)
