"""The lines of ``image ls``: which images a filter lets through, and one line for each of their names.

Source: docker's command line reference, "docker image ls", section "Filtering".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.engine.answers import NONE, ImageRow
from dockyard.engine.facts import facts_of, image_config, image_of
from dockyard.engine.lookup import find
from dockyard.engine.naming import reference_of
from dockyard.engine.patterns import matches
from dockyard.engine.times import until
from dockyard.errors import DockyardError, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dockyard.engine.facts import Facts
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference

_KNOWN = frozenset({"reference", "dangling", "before", "since", "label", "until"})
_BOOLEANS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def rows(
    images: Images, names: Names, filters: Iterable[tuple[str, str]], *, digests: bool, now: float
) -> list[ImageRow]:
    """The lines, the newest image first; those of one image by name."""
    wanted = group(filters, _KNOWN)
    entries = images.entries.read()
    facts = facts_of(images, entries)
    references: dict[Digest, list[Reference]] = {entry.digest: [] for entry in entries}
    for entry in entries:
        if reference := reference_of(entry):
            references[entry.digest].append(reference)
    passing = _Filter(images, names, wanted, entries, facts, now)
    found: list[ImageRow] = []
    for target in {entry.digest: entry for entry in entries}.values():
        if passing.target(target, references[target.digest]):
            chosen = [reference for reference in references[target.digest] if passing.name(reference)]
            if chosen or "reference" not in wanted:
                found += _lines(names, chosen, facts[target.digest], digests)
    return sorted(found, key=lambda row: (-row.created, row.repository, row.tag, row.digest))


def group(filters: Iterable[tuple[str, str]], known: frozenset[str]) -> dict[str, list[str]]:
    """Filters by key; raise Invalid for a key that is not ``known``."""
    found: dict[str, list[str]] = {}
    for key, value in filters:
        if key not in known:
            raise Invalid(f"invalid filter '{key}'", hint=f"Known here: {', '.join(sorted(known))}.")
        found.setdefault(key, []).append(value)
    return found


def boolean(key: str, values: Sequence[str]) -> bool:
    """Read a filter that is true or false; Invalid."""
    chosen = {_BOOLEANS.get(value.lower()) for value in values}
    if len(chosen) != 1 or None in chosen:
        raise Invalid(f"invalid filter '{key}={','.join(values)}'")
    return True in chosen


def has_label(labels: dict[str, str], wanted: str) -> bool:
    """Whether labels have ``key``, or ``key=value``."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def labels_of(images: Images, target: Descriptor) -> dict[str, str]:
    """The labels of a target's image; none where it can't be read."""
    try:
        config = image_config(images, image_of(images, images.read(target.digest, target.media_type)))
    except DockyardError:
        return {}
    return config.labels if config else {}


class _Filter:
    def __init__(
        self,
        images: Images,
        names: Names,
        wanted: dict[str, list[str]],
        entries: list[Descriptor],
        facts: dict[Digest, Facts],
        now: float,
    ) -> None:
        def made(text: str) -> float:
            return facts[find(images, names, text, entries).newest.digest].created

        self.images, self.names, self.facts = images, names, facts
        self.patterns, self.labels = wanted.get("reference", []), wanted.get("label", [])
        self.dangling = boolean("dangling", wanted["dangling"]) if "dangling" in wanted else None
        self.before = min(
            [made(text) for text in wanted.get("before", [])] + [until(text, now) for text in wanted.get("until", [])],
            default=None,
        )
        self.since = max((made(text) for text in wanted.get("since", [])), default=None)

    def target(self, target: Descriptor, references: list[Reference]) -> bool:
        created = self.facts[target.digest].created
        if self.dangling is not None and self.dangling == any(reference.digest is None for reference in references):
            return False
        if (self.before is not None and created >= self.before) or (self.since is not None and created <= self.since):
            return False
        if not self.labels:
            return True
        labels = labels_of(self.images, target)
        return all(has_label(labels, wanted) for wanted in self.labels)

    def name(self, reference: Reference) -> bool:
        registry = self.names.default_registry
        return not self.patterns or any(matches(pattern, reference, registry) for pattern in self.patterns)


def _lines(names: Names, references: list[Reference], facts: Facts, with_digests: bool) -> Iterator[ImageRow]:
    def line(repository: str, tag: str, digest: str) -> ImageRow:
        return ImageRow(repository, tag, digest, facts.id, facts.created, facts.size, facts.platform)

    if not references:
        yield line(NONE, NONE, NONE)
    tags: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for reference in references:
        repository = names.shorten(type(reference)(reference.registry, reference.repository))
        if reference.digest:
            digests.setdefault(repository, []).append(str(reference.digest))
        else:
            tags.setdefault(repository, []).append(str(reference.tag))
    for repository in sorted(tags.keys() | digests.keys()):
        known = sorted(digests.get(repository, [])) if with_digests else []
        for tag in sorted(tags.get(repository, [NONE])):
            for digest in known or [NONE]:
                yield line(repository, tag, digest)
