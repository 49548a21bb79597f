"""Where ``copy`` copies from and to: registries, the engine, layouts and archives, written as skopeo's users know."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.cli.session import Session
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference

KINDS = ("docker", "engine", "oci", "oci-archive", "docker-archive")


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a copy: an image in a registry or engine by ``reference``, or in a folder or file by ``path``.

    ``target`` is what the place calls the image when it is read, ``name`` what it will call it when it is written.
    """

    kind: str
    target: str | Digest
    name: str | None
    reference: Reference | None = None
    path: Path = Path()


def parse_place(session: Session, text: str) -> Place:
    """Read ``docker://…``, ``engine:…``, ``oci:…``, ``oci-archive:…`` or ``docker-archive:…``; Invalid."""
    kind, colon, rest = text.partition(":")
    if kind not in KINDS or not colon or (kind == "docker") != rest.startswith("//"):
        raise Invalid(
            f"{text!r} does not say what kind of place it is",
            hint=f"Begin it with docker://, engine:, oci:, oci-archive: or docker-archive:, such as docker://{text}",
        )
    if kind in ("docker", "engine"):
        reference = session.reference(rest.removeprefix("//")).tagged()
        if kind == "engine":
            return Place(kind, str(reference), str(reference), reference)
        return Place(kind, reference.target, str(reference.tag) if reference.tag else None, reference)
    path, _, name = rest.partition(":")
    if not path:
        raise Invalid(f"{text!r} names no file or folder")
    if kind == "docker-archive" and name:
        name = str(session.reference(name).tagged())
    return Place(kind, name, name, path=Path(path))


@asynccontextmanager
async def opened(session: Session, place: Place, *, insecure: bool, writing: bool) -> AsyncIterator[Any]:
    """The place as a Source, or as a Sink for ``writing``; an archive that is written is there when this ends well."""
    if place.kind == "docker" and place.reference:
        async with session.registry(place.reference.registry, insecure=insecure) as client:
            yield client.repository(place.reference.repository)
    elif place.kind == "engine":
        with session.engine.images.session() as images:
            yield images
    elif place.kind == "oci":
        from dockyard.content.layout import Layout

        yield Layout(place.path)
