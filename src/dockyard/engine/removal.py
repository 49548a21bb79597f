"""Taking names away, and deleting what nothing needs any more.

Content is deleted under the store's lock, after the names that led to it are gone from disk, and only when no name
that is left and no live lease reaches it. A process that is killed on the way leaves too much, never too little.

Source: docker's command line reference, "docker image rm" and "docker image prune", for what goes with what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors
from dockyard.engine.facts import facts_of, forget_facts, image_config, image_of
from dockyard.engine.listing import boolean, group, has_label, labels_of
from dockyard.engine.lookup import find
from dockyard.engine.naming import full_name, reference_of, without
from dockyard.engine.reach import Reach, delete, delete_partial, partials, set_aside, stored
from dockyard.engine.reports import Pruned, Removed
from dockyard.engine.times import until
from dockyard.errors import Conflict, DockyardError, Full
from dockyard.oci.image import chain_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Found, Names
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest

LEFT_OVER = 24 * 3600.0
"""Seconds after which a prune takes what a broken transfer left: until then the transfer can go on from it."""


def remove(images: Images, names: Names, text: str, *, force: bool) -> list[Removed]:
    """Do what ``rmi`` does with one argument: untag, and delete the image with its last name."""
    reach = Reach(images)
    reach.of(images.entries.read())  # read outside of the lock, which is held for milliseconds
    with images.locked():
        entries = images.entries.read()
        found = find(images, names, text, entries)
        facts = facts_of(images, entries)
        same = [entry for entry in entries if facts[entry.digest].id == found.id]
        gone = _with_its_digests(found.name, same) if found.name else _all_names(found, names, force=force)
        left = without(entries, gone)
        # What has no name goes with the last name of its image.
        if not any(full_name(entry) for entry in left if entry in same):
            left = [entry for entry in left if entry not in same]
        layers = _layers(images, found.newest)
        _write(images, left)
        deleted = set_aside(images, reach.of(same), reach.of(left))
    delete(images, deleted)
    if deleted:
        _release(images)
    records = [Removed(untagged=_shown(names, entry)) for entry in same if full_name(entry) in gone]
    if all(facts[entry.digest].id != found.id for entry in left):
        records.append(Removed(deleted=str(found.id)))
        records += [Removed(deleted=str(chain)) for layer, chain in layers if layer in deleted]
    return records


def prune(images: Images, names: Names, filters: Iterable[tuple[str, str]], *, all_unused: bool, now: float) -> Pruned:
    """Remove images that have no tag, or all; then whatever content nothing reaches."""
    wanted = group(filters, frozenset({"until", "label", "label!", "dangling"}))
    if "dangling" in wanted:
        all_unused = not boolean("dangling", wanted["dangling"])
    horizon = min((until(text, now) for text in wanted.get("until", [])), default=None)
    reach = Reach(images)
    reach.of(images.entries.read())
    with images.locked():
        entries = images.entries.read()
        facts = facts_of(images, entries)
        tagged = {entry.digest for entry in entries if (name := reference_of(entry)) and name.digest is None}
        gone = {
            entry.digest
            for entry in entries
            if (all_unused or entry.digest not in tagged)
            and (horizon is None or facts[entry.digest].created < horizon)
            and _labels_agree(images, entry, wanted)
        }
        left = [entry for entry in entries if entry.digest not in gone]
        if gone:
            _write(images, left)
        latest = now if all_unused else now - LEFT_OVER
        candidates = reach.of(entry for entry in entries if entry.digest in gone)
        candidates |= {digest for digest, state in stored(images) if state.st_mtime <= latest}
        deleted = set_aside(images, candidates, reach.of(left))
    delete(images, deleted)
    reclaimed = sum(deleted.values()) + _release(images)
    for path, state in partials(images):
        if state.st_mtime <= latest and delete_partial(path):
            reclaimed += state.st_size
    records = [Removed(untagged=_shown(names, entry)) for entry in entries if entry.digest in gone and full_name(entry)]
    remaining = {facts[entry.digest].id for entry in left}
    ids = dict.fromkeys(facts[entry.digest].id for entry in entries if entry.digest in gone)
    return Pruned((*records, *(Removed(deleted=str(image)) for image in ids if image not in remaining)), reclaimed)


def _release(images: Images) -> int:
    if not (images.root / "snapshots").is_dir() and not (images.root / "layer-indexes").is_dir():
        return 0
    from dockyard.engine.unpacked import release  # only where something was ever built: it imports much

    return release(images)


def _write(images: Images, left: list[Descriptor]) -> None:
    """Write the names that are left; on a full disk, what can be had again makes room for them."""
    try:
        with storage_errors(images.root):
            images.entries.write(left)
    except Full:
        forget_facts(images)
        for path, _ in partials(images):
            delete_partial(path)
        images.entries.write(left)


def _with_its_digests(name: str, same: Sequence[Descriptor]) -> set[str]:
    """The name, and with the last tag of a repository the digests that are known from there."""
    references = [reference for entry in same if (reference := reference_of(entry))]
    taken = next(reference for reference in references if str(reference) == name)
    siblings = [reference for reference in references if reference.name == taken.name and reference != taken]
    if taken.digest or any(reference.digest is None for reference in siblings):
        return {name}
    return {name, *map(str, siblings)}


def _all_names(found: Found, names: Names, *, force: bool) -> set[str]:
    """Every name of an image that was given by its ID; Conflict where that is more than the user may have meant."""
    entries = [entry for entry in found.entries if full_name(entry)]
    references = [reference for entry in entries if (reference := reference_of(entry))]
    if not force:
        where = f"conflict: unable to delete {found.id.short} (must be forced) - "
        shown = ", ".join(sorted(names.shorten(reference) for reference in references))
        targets = list(dict.fromkeys(str(entry.digest) for entry in found.entries))
        if len(targets) > 1:
            raise Conflict(
                f"{where}the ID means several manifests: {', '.join(targets)}",
                hint=f"Their names: {shown}" if shown else None,
            )
        tags = [reference for reference in references if reference.digest is None]
        if len(tags) > 1 or len({reference.name for reference in references}) > 1:
            raise Conflict(f"{where}image is referenced in multiple repositories", hint=f"Its names: {shown}")
    return {full_name(entry) for entry in entries}


def _layers(images: Images, target: Descriptor) -> list[tuple[Digest, Digest]]:
    """Layers and their chain IDs, the highest first; none where the image can't be read."""
    try:
        image = image_of(images, images.read(target.digest, target.media_type))
        config = image_config(images, image)
        diff_ids = config.diff_ids if config else ()
    except DockyardError:
        return []
    layers = image.layers if image else ()
    chains = [chain_id(diff_ids[: height + 1]) for height in range(len(diff_ids))]
    return list(zip((layer.digest for layer in layers), chains, strict=False))[::-1]


def _labels_agree(images: Images, entry: Descriptor, wanted: dict[str, list[str]]) -> bool:
    if not wanted.keys() & {"label", "label!"}:
        return True
    labels = labels_of(images, entry)
    if not all(has_label(labels, text) for text in wanted.get("label", [])):
        return False
    return "label!" not in wanted or not all(has_label(labels, text) for text in wanted["label!"])


def _shown(names: Names, entry: Descriptor) -> str:
    reference = reference_of(entry)
    return names.shorten(reference) if reference else ""
