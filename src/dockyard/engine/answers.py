"""A line of a listing and a context: the values that every command starts with. The others are in ``reports``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform

NONE = "<none>"
"""What docker prints where there is no name, tag or digest."""


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One line of ``image ls``.

    ``repository`` is the shortest name that means it to the user; ``repository``, ``tag`` and ``digest`` are
    ``<none>`` where there is none. ``created`` is in seconds since 1970, 0 where nothing is known. ``size`` is in
    bytes: config and layers as they lie in this store, which is compressed as a rule.
    """

    repository: str
    tag: str
    digest: str
    id: Digest
    created: float
    size: int
    platform: str


@dataclass(frozen=True, slots=True)
class Context:
    """An engine on this machine: a store of its own for one platform. ``created`` is in seconds since 1970."""

    name: str
    platform: Platform
    folder: str
    created: float = 0.0
    description: str = field(default="", compare=False)
