"""The names in a store's ``index.json``, as values: who is called what after a change. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content.entries import IMAGE_NAME, REF_NAME, annotated, name_of
from dockyard.errors import DigestInvalid, Invalid
from dockyard.oci.digest import Digest
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.reference import Reference

INDEX = "io.dockyard.index"
"""Annotation: the digest of the index that an entry's manifest was picked from."""


def reference_of(entry: Descriptor) -> Reference | None:
    """The entry's name; ``None`` where it has none, or one of another tool that can't be an image's."""
    name = name_of(entry)
    if not name:
        return None
    try:
        return parse_reference(name).tagged()
    except Invalid:
        return None


def full_name(entry: Descriptor) -> str:
    """The entry's name in full, ``""`` where it has none."""
    reference = reference_of(entry)
    return str(reference) if reference else ""


def index_of(entry: Descriptor) -> Digest | None:
    """The index that the entry's manifest was picked from."""
    with suppress(DigestInvalid):
        return Digest.parse(entry.annotations.get(INDEX, ""))
    return None


def assign(
    entries: Sequence[Descriptor], target: Descriptor, references: Iterable[Reference], index: Digest | None
) -> list[Descriptor]:
    """Return the entries after ``references`` were given to ``target``; the newest come last.

    An image that loses its last name so stays as one without a name; one that gets a name is no longer without.
    """
    names = {str(reference): None for reference in references}
    kept = [entry for entry in entries if full_name(entry) not in names]
    if names:
        kept = [entry for entry in kept if entry.digest != target.digest or full_name(entry)]
    elif any(entry.digest == target.digest for entry in kept):
        return list(entries)
    stay = {entry.digest for entry in kept} | {target.digest}
    nameless = {entry.digest: unnamed(entry) for entry in entries if entry.digest not in stay}
    new = [named(target, name, index) for name in names or [""]]
    return [*nameless.values(), *kept, *new]


def without(entries: Sequence[Descriptor], names: Iterable[str]) -> list[Descriptor]:
    """Return the entries without those of these full names."""
    gone = set(names)
    return [entry for entry in entries if full_name(entry) not in gone]


def named(target: Descriptor, name: str, index: Digest | None) -> Descriptor:
    """An entry for ``target``; without a name where that is ``""``."""
    note = str(index) if index and index != target.digest else ""
    return annotated(target, **{REF_NAME: name, IMAGE_NAME: name, INDEX: note})


def unnamed(entry: Descriptor) -> Descriptor:
    """The entry without its name."""
    return replace(entry, annotations={INDEX: note} if (note := entry.annotations.get(INDEX)) else {})
