"""What the hub's verbs return: plain values, valid once they exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import RepositoryName, Tag

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a repository may show: ``digest`` as it was asked for, ``size`` in bytes.

    ``path`` is the file to send where the store has one; ``key`` is where its store keeps it.
    """

    digest: Digest
    size: int
    path: Path | None
    key: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session: ``offset`` bytes are here and durable, the next one goes there."""

    id: str
    repository: RepositoryName
    offset: int
    algorithm: str


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest, and the digest that who asks for it knows it by: the one asked for, or that its tag came under."""

    manifest: Manifest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Referrers:
    """The OCI index of some referrers; ``after`` is where the list goes on, ``""`` where this is all."""

    raw: bytes
    after: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that was taken: its digest as the client names it, what it is about, and the tags it now has."""

    digest: Digest
    subject: Digest | None
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a sorted list; ``more`` says that others follow the last one."""

    items: tuple[T, ...]
    more: bool
