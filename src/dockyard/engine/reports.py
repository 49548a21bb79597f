"""What the engine's longer verbs report: plain values, for a front door to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Removed:
    """One step of a removal: a name that was taken away, or content that was deleted."""

    untagged: str = ""
    deleted: str = ""

    def __str__(self) -> str:
        return f"Untagged: {self.untagged}" if self.untagged else f"Deleted: {self.deleted}"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning took away, and the bytes that came free."""

    removed: tuple[Removed, ...]
    reclaimed: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One line of ``image history``, the newest first.

    ``id`` is the image's on the first line and ``<missing>`` on the others, as docker has it. ``created`` is in
    seconds since 1970, ``size`` in bytes of the layer as stored, 0 for a step that made none.
    """

    id: str
    created: float
    created_by: str
    size: int
    comment: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What one kind of content takes: how many there are, how many are in use, bytes in all and reclaimable."""

    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """One image in ``system df -v``; sizes in bytes. ``shared`` is what other images have too."""

    repository: str
    tag: str
    id: Digest
    created: float
    size: int
    shared: int
    unique: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The figures of ``system df``. ``partial`` are downloads under way or cut off."""

    images: Usage
    partial: Usage
    build_cache: Usage
    details: tuple[ImageUsage, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image of an archive that is in the store now; ``name`` is ``None`` where the archive gave it none."""

    id: Digest
    name: Reference | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did. ``digest`` is what the registry calls it; ``updated`` is false where all was here before."""

    reference: Reference
    digest: Digest
    id: Digest
    updated: bool


@dataclass(frozen=True, slots=True)
class PushDone:
    """What a push did: the manifest's digest and its size in bytes."""

    reference: Reference
    digest: Digest
    size: int
