"""Listing and giving up the build cache: ``builder du`` and ``builder prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.engine.cache import BuildCache, CacheRow, oldest_over
from dockyard.engine.host import remove_tree
from dockyard.engine.listing import group
from dockyard.engine.mount_sources import CacheMounts
from dockyard.engine.reach import Reach, delete, set_aside
from dockyard.engine.reports import Pruned, Removed
from dockyard.engine.snapshots import disk_size
from dockyard.engine.times import until
from dockyard.engine.unpacked import release

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dockyard.engine.images import Images


def rows(images: Images) -> list[CacheRow]:
    """Every record, the one used last first. ``shared`` are those whose layer an image has too."""
    return BuildCache(images.root).rows(images.files.size, Reach(images).of(images.entries.read()))


def prune(
    images: Images,
    *,
    all_records: bool,
    filters: Iterable[tuple[str, str]] = (),
    keep_bytes: int | None = None,
    now: float,
) -> Pruned:
    """Give up records; only ``all_records`` also those whose layers images have. Filter: ``until``. Invalid."""
    wanted = group(filters, frozenset({"until"}))
    horizon = min((until(text, now) for text in wanted.get("until", [])), default=None)
    found = [row for row in rows(images) if all_records or not row.shared]
    if horizon is not None:
        found = [row for row in found if row.last_used < horizon]
    cache = BuildCache(images.root)
    if keep_bytes is not None:
        found = oldest_over(found, keep_bytes)
    reclaimed = forget(images, cache, [row.id for row in found])
    if all_records and horizon is None and keep_bytes is None:
        reclaimed += CacheMounts(images.root / "cache-mounts").remove_unused()
        fetched = images.root / "fetched"
        reclaimed += disk_size(fetched) if fetched.is_dir() else 0
        remove_tree(fetched)
        for path in (images.root / "context-hashes").glob("*"):
            path.unlink(missing_ok=True)
    return Pruned(tuple(Removed(deleted=row.id) for row in found), reclaimed)


def forget(images: Images, cache: BuildCache, keys: Iterable[str]) -> int:
    """Remove records, and the layers and unpacked folders that nothing else needs; return the bytes that came free."""
    gone = set(keys)
    digests = {record.layer.descriptor.digest for key, record, *_ in cache.records() if key in gone and record.layer}
    reach = Reach(images)
    reach.of(images.entries.read())  # read outside of the lock, which is held for milliseconds
    with images.locked():
        for key in gone:
            cache.forget(key)
        deleted = set_aside(images, digests, reach.of(images.entries.read()))
    delete(images, deleted)
    return sum(deleted.values()) + release(images)
