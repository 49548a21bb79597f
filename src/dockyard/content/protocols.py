"""What the one transfer needs from a place that holds images, and nothing more.

A registry's repository, an OCI layout, an archive and an engine's store are each a :class:`Source` and a
:class:`Sink`. ``name`` is how that place names an image: a tag in a repository, a reference name in a layout, a full
image name in an engine; a :class:`~dockyard.oci.digest.Digest` names a manifest anywhere.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import RepositoryName

CHUNK = 1024 * 1024
"""Bytes in one piece of content on its way, about."""


class Outcome(enum.Enum):
    """What became of a blob that a sink was asked to take."""

    WRITTEN = "written"
    EXISTED = "existed"  # somebody else completed the same blob meanwhile


class Source(Protocol):
    """Where content can be read from."""

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return a manifest, its bytes checked against the digest where ``name`` is one; raise ManifestUnknown."""
        ...

    def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from offset ``start`` in chunks. The reader verifies; BlobUnknown, Unavailable."""
        ...


class Sink(Protocol):
    """Where content can be written to. Nothing is visible until it is complete and verified."""

    async def has(self, content: Descriptor) -> bool:
        """Whether the blob or manifest is there; an answer that could not be had is an error, never ``False``."""
        ...

    async def write(self, blob: Descriptor, source: Source) -> Outcome:
        """Take a blob, opening ``source`` at the offset this sink still needs.

        After an error the next call goes on where this one stopped. DigestInvalid, SizeInvalid, Full, Unavailable.
        """
        ...

    async def put(self, manifest: Manifest, name: str | None) -> None:
        """Take a manifest whose content is all there, and name it where ``name`` is given."""
        ...


@runtime_checkable
class Mounts(Protocol):
    """A sink that can take a blob from a neighbour without its bytes being sent."""

    async def mount(self, blob: Descriptor, origin: RepositoryName) -> bool:
        """Try to take the blob from repository ``origin`` of the same registry; ``False`` where that is refused."""
        ...


class Status(enum.Enum):
    """Where one blob stands, in the order that it may go through."""

    PREPARING = "preparing"
    WAITING = "waiting"
    MOVING = "moving"  # ``current`` of ``blob.size`` bytes are over
    RETRYING = "retrying"  # ``detail`` says why; ``seconds`` until the next try
    EXISTS = "exists"
    MOUNTED = "mounted"  # ``detail`` is the repository it came from
    SKIPPED = "skipped"  # a foreign layer, which stays where its urls say
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a transfer, for whoever shows progress."""

    blob: Descriptor
    status: Status
    current: int = 0
    detail: str = ""
    seconds: float = 0.0
