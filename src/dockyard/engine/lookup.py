"""What people mean when they write a name, an ID or a digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.engine.facts import facts_of
from dockyard.engine.naming import full_name, index_of, reference_of
from dockyard.errors import ImageUnknown, Invalid
from dockyard.oci.reference import DOCKER_HUB, familiar, parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})|sha512:[0-9a-f]{128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Names:
    """How names are expanded and shortened. Plain ones mean the default registry, then docker.io/library."""

    default_registry: str = DOCKER_HUB

    def expand(self, text: str) -> list[Reference]:
        """The full names that ``text`` may mean, the likeliest first, with a tag or digest. NameInvalid, TagInvalid."""
        meant = [parse_reference(text, default_registry=self.default_registry).tagged()]
        if self.default_registry != DOCKER_HUB and (hub := parse_reference(text).tagged()) not in meant:
            meant.append(hub)
        return meant

    def shorten(self, reference: Reference) -> str:
        """The shortest text that means the name to this user."""
        return familiar(reference, default_registry=self.default_registry)


@dataclass(frozen=True, slots=True)
class Found:
    """What a text means in a store: one name's entry, or every entry of an image that was given by ID.

    ``entries`` are in the order they came, the newest last, and never empty; ``name`` is ``""`` for an ID.
    """

    id: Digest
    entries: tuple[Descriptor, ...]
    name: str = ""

    @property
    def newest(self) -> Descriptor:
        """The entry to use where one is needed."""
        return self.entries[-1]


def find(images: Images, names: Names, text: str, entries: Sequence[Descriptor] | None = None) -> Found:
    """Return what ``text`` means. ImageUnknown with docker's words; Invalid where an ID's first digits are not enough.

    ``entries`` are those of the store, where the caller has read them.
    """
    entries = images.entries.read() if entries is None else entries
    try:
        meant = names.expand(text)
    except Invalid:
        # Sixty-four digits, which are no name.
        if not _ID.fullmatch(text):
            raise
        meant = []
    facts = facts_of(images, entries)
    for reference in meant:
        if called := [entry for entry in entries if _is_called(entry, reference)]:
            # A digest that is a name itself goes before the tags that lead to the same: it may be removed alone.
            entry = ([entry for entry in called if full_name(entry) == str(reference)] or called)[-1]
            return Found(facts[entry.digest].id, (entry,), full_name(entry) or str(reference))
    if match := _ID.fullmatch(text):
        start = match[1] or text.partition(":")[2]
        ids = {fact.id for fact in facts.values() if fact.id.hex.startswith(start)}
        if len(ids) > 1:
            raise Invalid(f"multiple IDs found with provided prefix: {text}", hint="Give more digits of the ID.")
        if ids:
            found = ids.pop()
            return Found(found, tuple(entry for entry in entries if facts[entry.digest].id == found))
    shown = names.shorten(meant[0]) if meant else text
    raise ImageUnknown(f"No such image: {shown}")


def _is_called(entry: Descriptor, wanted: Reference) -> bool:
    reference = reference_of(entry)
    if reference is None or reference.name != wanted.name:
        return False
    if wanted.digest:
        return wanted.digest in (reference.digest, entry.digest, index_of(entry))
    return reference.tag == wanted.tag and reference.digest is None
