"""How much of the disk images take, and how much of that could come free: ``system df``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dockyard.engine.answers import NONE
from dockyard.engine.cache import BuildCache
from dockyard.engine.facts import facts_of
from dockyard.engine.naming import reference_of
from dockyard.engine.reach import Reach, partials, stored
from dockyard.engine.reports import DiskUsage, ImageUsage, Usage

if TYPE_CHECKING:
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.descriptor import Descriptor


def disk_usage(images: Images, names: Names) -> DiskUsage:
    """The figures. An image is active while it has a tag; what no tagged image needs is reclaimable by a prune."""
    entries = images.entries.read()
    facts = facts_of(images, entries)
    reach = Reach(images)
    sizes = {digest: state.st_size for digest, state in stored(images)}
    targets = {entry.digest: entry for entry in entries}
    tagged = [entry for entry in entries if (name := reference_of(entry)) and name.digest is None]
    needed = reach.of(tagged)
    cache = BuildCache(images.root)
    cached = cache.digests() - reach.of(entries)
    total = sum(size for digest, size in sizes.items() if digest not in cached)
    usage = Usage(
        len({facts[digest].id for digest in targets}),
        len({facts[entry.digest].id for entry in tagged}),
        total,
        sum(size for digest, size in sizes.items() if digest not in needed | cached),
    )
    from dockyard.engine.unpacked import mounts_size, unpacked_size

    free = sum(sizes.get(digest, 0) for digest in cached) + mounts_size(images)
    kept = free + unpacked_size(images)
    begun = [state.st_size for _, state in partials(images)]
    users = Counter(digest for target in targets.values() for digest in reach.of([target]))
    details = []
    for digest, target in targets.items():
        held = reach.of([target]) & sizes.keys()
        shared = sum(sizes[content] for content in held if users[content] > 1)
        size = sum(sizes[content] for content in held)
        repository, tag = _called(names, [entry for entry in tagged if entry.digest == digest])
        fact = facts[digest]
        details.append(ImageUsage(repository, tag, fact.id, fact.created, size, shared, size - shared))
    partial = Usage(len(begun), 0, sum(begun), sum(begun))
    return DiskUsage(usage, partial, Usage(sum(1 for _ in cache.records()), 0, kept, free), tuple(details))


def _called(names: Names, entries: list[Descriptor]) -> tuple[str, str]:
    for entry in entries:
        if reference := reference_of(entry):
            return names.shorten(type(reference)(reference.registry, reference.repository)), str(reference.tag)
    return NONE, NONE
