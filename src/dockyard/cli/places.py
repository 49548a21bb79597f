"""Where ``copy`` copies from and to: registries, the engine, layouts and archives, written as skopeo's users know."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.cli.session import Session
    from dockyard.content.packing import Form
    from dockyard.content.protocols import Sink, Source
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference

KINDS = ("docker", "engine", "oci", "oci-archive", "docker-archive")


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a copy. ``name`` is what it calls the image, or will call it; ``None`` leaves it without one.

    ``reference`` is the full name in a registry or engine, ``path`` the folder or file of the other kinds.
    """

    kind: str
    name: str | Digest | None
    reference: Reference | None = None
    path: Path = Path()


def parse_source(session: Session, text: str) -> Place:
    """Read where to copy from; raise Invalid, and ImageUnknown for an image that this engine does not have."""
    kind, rest = _split(text)
    if kind == "docker":
        reference = session.reference(rest).tagged()
        return Place(kind, reference.target, reference)
    if kind == "engine":
        from dockyard.engine.lookup import find

        # Also an ID or its first digits.
        return Place(kind, find(session.engine.images, session.engine.names, rest).newest.digest)
    return _file(kind, rest, text)


def parse_destination(session: Session, text: str) -> Place:
    """Read where to copy to; raise Invalid."""
    kind, rest = _split(text)
    if kind in ("docker", "engine"):
        reference = session.reference(rest).tagged()
        if kind == "engine":
            return Place(kind, str(reference), reference)
        return Place(kind, str(reference.tag) if reference.tag else None, reference)
    return _file(kind, rest, text)


@asynccontextmanager
async def opened_source(session: Session, place: Place, *, insecure: bool) -> AsyncIterator[Source]:
    """What a place has, for reading."""
    async with AsyncExitStack() as stack:
        if place.kind == "docker" and place.reference:
            client = await stack.enter_async_context(session.registry(place.reference.registry, insecure=insecure))
            yield client.repository(place.reference.repository)
        elif place.kind == "engine":
            yield stack.enter_context(session.engine.images.session())
        elif place.kind == "oci":
            from dockyard.content.layout import Layout

            yield Layout(place.path)
        else:
            from dockyard.content.archive import Archive

            file = stack.enter_context(place.path.open("rb"))
            yield stack.enter_context(Archive(file))


@asynccontextmanager
async def opened_sink(session: Session, place: Place, *, insecure: bool) -> AsyncIterator[Sink]:
    """A place for writing; an archive is there when this ends well, and else not at all."""
    async with AsyncExitStack() as stack:
        if place.kind == "docker" and place.reference:
            client = await stack.enter_async_context(session.registry(place.reference.registry, insecure=insecure))
            yield client.repository(place.reference.repository)
        elif place.kind == "engine":
            yield stack.enter_context(session.engine.images.session())
        elif place.kind == "oci":
            from dockyard.content.layout import Layout

            yield Layout(place.path)
        else:
            from dockyard.content.packing import NewArchive

            form: Form = "oci" if place.kind == "oci-archive" else "docker"
            yield await stack.enter_async_context(NewArchive(place.path, form))


def _split(text: str) -> tuple[str, str]:
    kind, colon, rest = text.partition(":")
    if kind not in KINDS or not colon or (kind == "docker") != rest.startswith("//"):
        raise Invalid(
            f"{text!r} does not say what kind of place it is",
            hint=f"Begin it with docker://, engine:, oci:, oci-archive: or docker-archive:, such as docker://{text}",
        )
    return kind, rest.removeprefix("//") if kind == "docker" else rest


def _file(kind: str, rest: str, text: str) -> Place:
    path, _, name = rest.partition(":")
    if not path:
        raise Invalid(f"{text!r} names no file or folder")
    return Place(kind, name, path=Path(path))
