"""What a copy would do, without doing it: for ``push --dry-run``."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dockyard.content import graph
from dockyard.content.copy import MOUNTS, QUESTIONS, Origins, load, no_origins, together

if TYPE_CHECKING:
    from dockyard.content.protocols import Sink, Source
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import RepositoryName


class Fate(enum.Enum):
    """What would become of a blob."""

    KNOWN = "known"
    MOUNTABLE = "mountable"
    UPLOAD = "upload"
    SKIPPED = "skipped"  # a foreign layer


@runtime_checkable
class Foresees(Protocol):
    """A sink that can tell whether it could mount."""

    async def mountable(self, blob: Descriptor, origin: RepositoryName) -> bool:
        """Whether ``origin`` has the blob and lets us read it."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """One blob and its fate; ``origin`` is where a mountable one would come from."""

    blob: Descriptor
    fate: Fate
    origin: RepositoryName | None = None

    @property
    def bytes(self) -> int:
        """Bytes that would be sent."""
        return self.blob.size if self.fate is Fate.UPLOAD else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A copy that was not made: its manifests, and every blob in the order of the manifests."""

    root: Manifest
    manifest: Manifest
    blobs: tuple[Planned, ...]

    @property
    def bytes(self) -> int:
        """Bytes of blobs that would be sent in all."""
        return sum(planned.bytes for planned in self.blobs)


async def plan_copy(
    source: Source,
    sink: Sink,
    name: str | Digest,
    *,
    platform: Platform | None = None,
    origins: Origins = no_origins,
) -> Plan:
    """Find out what :func:`~dockyard.content.copy.copy` would do. Changes nothing; raises what it would."""
    found = await load(source, name, platform)
    gate = asyncio.Semaphore(QUESTIONS)

    async def foresee(blob: Descriptor) -> Planned:
        async with gate:
            if await sink.has(blob):
                return Planned(blob, Fate.KNOWN)
            if isinstance(sink, Foresees):  # a registry
                if graph.stays_away(blob):
                    return Planned(blob, Fate.SKIPPED)
                for _, origin in zip(range(MOUNTS), origins(blob.digest), strict=False):
                    if await sink.mountable(blob, origin):
                        return Planned(blob, Fate.MOUNTABLE, origin)
            return Planned(blob, Fate.UPLOAD)

    return Plan(found.root, found.target, tuple(await together(foresee(blob) for blob in found.blobs)))
