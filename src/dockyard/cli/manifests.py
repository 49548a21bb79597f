"""``dockyard manifest``: one name for the same image on several platforms, made without pulling a layer."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.drafts import Draft, Drafts
from dockyard.cli.failures import plain_json
from dockyard.cli.grammar import command
from dockyard.cli.session import Session
from dockyard.errors import Conflict, Invalid, ManifestInvalid, NotFound
from dockyard.oci import media_types
from dockyard.oci.image import ImageConfig
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.content.http import RegistryClient
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import Reference

_ARCHITECTURES = {
    "aix": "ppc64", "android": "386 amd64 arm arm64", "darwin": "amd64 arm64", "dragonfly": "amd64",
    "freebsd": "386 amd64 arm arm64 riscv64", "illumos": "amd64", "ios": "amd64 arm64", "js": "wasm",
    "linux": "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm arm64", "openbsd": "386 amd64 arm arm64 mips64", "plan9": "386 amd64 arm",
    "solaris": "amd64", "wasip1": "wasm", "windows": "386 amd64 arm arm64",
}  # fmt: skip

_insecure = click.option("--insecure", is_flag=True, help="Allow plain HTTP and any certificate")


@command("[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]")
@click.argument("name")
@click.argument("images", nargs=-1, required=True)
@click.option("-a", "--amend", is_flag=True, help="Add to a manifest list that exists")
@_insecure
@click.pass_obj
def create(session: Session, name: str, images: Sequence[str], amend: bool, insecure: bool) -> None:
    """Create a local manifest list to annotate and push

    The images have to be in their registries. Only their manifests and configs are
    read; the list takes each image's platform from its config.
    """
    import asyncio

    target = session.reference(name).tagged()
    drafts = Drafts(Path(session.settings.root))
    references = [session.reference(image).tagged() for image in images]
    described = asyncio.run(_describe(session, references, insecure))
    with drafts.changing():
        draft = drafts.load(target)
        if draft and not amend:
            raise Conflict("refusing to amend an existing manifest list with no --amend flag")
        draft = draft or Draft(target, ())
        for reference, descriptor in zip(references, described, strict=True):
            draft = draft.with_entry(reference, descriptor)
        drafts.save(draft)
    click.echo(f"Created manifest list {target}")


@command("[OPTIONS] MANIFEST_LIST MANIFEST")
@click.argument("name")
@click.argument("image")
@click.option("--arch", metavar="string", help="Set architecture")
@click.option("--os", "system", metavar="string", help="Set operating system")
@click.option("--os-features", multiple=True, metavar="strings", help="Set operating system features")
@click.option("--os-version", metavar="string", help="Set operating system version")
@click.option("--variant", metavar="string", help="Set architecture variant")
@click.pass_obj
def annotate(
    session: Session,
    name: str,
    image: str,
    arch: str | None,
    system: str | None,
    os_features: Sequence[str],
    os_version: str | None,
    variant: str | None,
) -> None:
    """Set the platform of an image in a local manifest list"""
    target, reference = session.reference(name).tagged(), session.reference(image).tagged()
    drafts = Drafts(Path(session.settings.root))
    with drafts.changing():
        draft = _existing(drafts, target)
        descriptor = draft.find(reference)
        platform = descriptor.platform or Platform("", "")
        changes: dict[str, Any] = {"architecture": arch, "os": system, "os_version": os_version, "variant": variant}
        features = tuple(part for text in os_features for part in text.split(","))
        changes["os_features"] = features or None
        platform = replace(platform, **{key: value for key, value in changes.items() if value})
        _check(platform)
        drafts.save(draft.with_entry(reference, replace(descriptor, platform=platform)))


@command("[OPTIONS] [MANIFEST_LIST] MANIFEST")
@click.argument("first")
@click.argument("second", required=False)
@_insecure
@click.option("-v", "--verbose", is_flag=True, help="Also show layers and platform of each image")
@click.pass_obj
def inspect(session: Session, first: str, second: str | None, insecure: bool, verbose: bool) -> None:
    """Display an image manifest or manifest list

    A local manifest list is shown where there is one of that name, else what the
    registry has. With two names it is an image of a local list.
    """
    import asyncio

    drafts = Drafts(Path(session.settings.root))
    name = session.reference(first).tagged()
    draft = drafts.load(name)
    if second:
        name = session.reference(second).tagged()
        named = _existing(drafts, session.reference(first).tagged()).find(name)
        document = asyncio.run(_look(session, replace(name, digest=named.digest), verbose, insecure, shown=name))
    elif draft and not verbose:
        document = _text(draft.index())
    elif draft:
        document = asyncio.run(_look_at_all(session, draft, insecure))
    else:
        document = asyncio.run(_look(session, name, verbose, insecure))
    click.echo(document)


@command("[OPTIONS] MANIFEST_LIST")
@click.argument("name")
@_insecure
@click.option("-p", "--purge", is_flag=True, help="Remove the local manifest list after the push")
@click.pass_obj
def push(session: Session, name: str, insecure: bool, purge: bool) -> None:
    """Push a manifest list to a repository

    Images of other repositories of the same registry are made known to this one
    first; their layers stay where they are.
    """
    import asyncio

    target = session.reference(name).tagged()
    drafts = Drafts(Path(session.settings.root))
    draft = _existing(drafts, target)
    for image, _ in draft.entries:
        if image.registry != target.registry:
            raise Invalid(
                "cannot use source images from a different registry than the target image: "
                f"{image.registry} != {target.registry}",
                hint=f"Copy it first: dockyard copy docker://{image} docker://{target.registry}/...",
            )
    asyncio.run(_push(session, draft, insecure))
    if purge:
        drafts.remove(target)


@command("MANIFEST_LIST [MANIFEST_LIST...]")
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def rm(session: Session, names: Sequence[str]) -> None:
    """Delete one or more local manifest lists"""
    drafts = Drafts(Path(session.settings.root))
    missing = [name for name in names if not drafts.remove(session.reference(name).tagged())]
    if missing:
        raise NotFound("\n".join(f"No such manifest: {session.reference(name).tagged()}" for name in missing))


def _existing(drafts: Drafts, name: Reference) -> Draft:
    draft = drafts.load(name)
    if draft is None:
        raise NotFound(f"No such manifest: {name}", hint=f"Begin one: dockyard manifest create {name} IMAGE...")
    return draft


def _check(platform: Platform) -> None:
    if platform.architecture not in _ARCHITECTURES.get(platform.os, "").split():
        combination = f"{platform.os}/{platform.architecture}"
        raise Invalid(f"manifest entry for image has unsupported os/arch combination: {combination}")


async def _describe(session: Session, references: Sequence[Reference], insecure: bool) -> list[Descriptor]:
    """What a list says about each image."""
    found = []
    for reference in references:
        async with session.registry(reference.registry, insecure=insecure) as client:
            manifest = await _fetch(client, reference)
            if manifest.is_index:
                raise ManifestInvalid(f"{reference} is a manifest list", hint="Name the images in it by their digests.")
            found.append(replace(manifest.descriptor, platform=await _platform(client, reference, manifest)))
    return found


async def _fetch(client: RegistryClient, reference: Reference) -> Manifest:
    try:
        return await client.repository(reference.repository).manifest(reference.target)
    except NotFound:
        raise NotFound(f"no such manifest: {reference}") from None


async def _platform(client: RegistryClient, reference: Reference, manifest: Manifest) -> Platform | None:
    """The platform that an image's config names; ``None`` for artifacts."""
    config = manifest.config
    if config is None or config.media_type not in media_types.CONFIGS:
        return None
    from dockyard.content.streams import read_blob

    return ImageConfig(await read_blob(client.repository(reference.repository), config)).platform


async def _look(
    session: Session, reference: Reference, verbose: bool, insecure: bool, *, shown: Reference | None = None
) -> str:
    async with session.registry(reference.registry, insecure=insecure) as client:
        manifest = await _fetch(client, reference)
        if not verbose:
            return _text(manifest)
        if not manifest.is_index:
            return _dump(await _entry(client, shown or reference, manifest))
        entries = []
        for child in manifest.manifests:
            image = replace(reference, digest=child.digest)
            entries.append(await _entry(client, image, await _fetch(client, image), child.platform))
        return _dump(entries)


async def _look_at_all(session: Session, draft: Draft, insecure: bool) -> str:
    entries = []
    for image, descriptor in draft.entries:
        async with session.registry(image.registry, insecure=insecure) as client:
            manifest = await _fetch(client, replace(image, digest=descriptor.digest))
            entries.append(await _entry(client, image, manifest, descriptor.platform))
    return _dump(entries)


async def _entry(
    client: RegistryClient, reference: Reference, manifest: Manifest, platform: Platform | None = None
) -> dict[str, Any]:
    """One image as ``--verbose`` shows it."""
    descriptor = manifest.descriptor
    described = replace(descriptor, platform=platform or await _platform(client, reference, manifest))
    kind = "OCIManifest" if manifest.media_type == media_types.OCI_MANIFEST else "SchemaV2Manifest"
    raw = base64.b64encode(manifest.raw).decode()
    return {"Ref": str(reference), "Descriptor": described.fields(), "Raw": raw, kind: manifest.fields}


async def _push(session: Session, draft: Draft, insecure: bool) -> None:
    from dockyard.content.copy import copy

    async with session.registry(draft.name.registry, insecure=insecure) as client:
        target = client.repository(draft.name.repository)
        for image, descriptor in draft.entries:
            if image.repository != draft.name.repository:
                origin = client.repository(image.repository)
                await copy(origin, target, descriptor.digest, origins=lambda _, image=image: [image.repository])  # type: ignore[misc]
            click.echo(f"Pushed ref {draft.name.name}@{descriptor.digest} with digest: {descriptor.digest}")
        index = draft.index()
        await target.put(index, str(draft.name.target))
        click.echo(str(index.digest))


def _text(manifest: Manifest) -> str:
    """A manifest as docker indents it: lists by three spaces, images by tabs."""
    return plain_json(json.dumps(manifest.fields, indent=3 if manifest.is_index else "\t", ensure_ascii=False))


def _dump(value: Any) -> str:
    return plain_json(json.dumps(value, indent="\t", ensure_ascii=False))
