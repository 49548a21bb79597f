"""What a build tells whoever shows it: vertices begin, say something, and end."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference


class Progress(enum.Enum):
    """What a vertex does."""

    STARTED = "started"
    CACHED = "cached"  # done without any work; nothing else comes of it
    OUTPUT = "output"  # ``data`` is what its command wrote, to stream 1 or 2
    STATUS = "status"  # ``detail`` names a part of its work that stands at ``current`` of ``total``
    DONE = "done"
    FAILED = "failed"  # ``detail`` says why
    CANCELED = "canceled"  # another vertex failed
    WARNING = "warning"  # ``detail`` is for the user


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """One thing that happened to a vertex, ``number`` from 1 on in the order of starts; ``time`` in seconds."""

    number: int
    name: str  # "[internal] load build definition from Dockerfile", "[build 2/5] RUN make"
    progress: Progress
    time: float
    detail: str = ""
    data: bytes = b""
    stream: int = 1
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that RUN --mount=type=secret may ask for. Its value is in no text of this object."""

    id: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CachePlace:
    """A place of ``--cache-from`` and ``--cache-to``: ``type`` is ``registry``, ``local`` or ``inline``."""

    type: str
    where: str  # an image name, or a folder
    mode: str = "min"  # min: what the result needs; max: all stages


@dataclass(frozen=True, slots=True)
class Output:
    """One ``--output``: ``image``, ``local``, ``tar``, ``oci`` or ``docker``; ``dest`` is a path, ``-`` stdout."""

    type: str
    dest: str = ""
    push: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Everything that ``build`` was asked for. ``context`` is a folder, a URL, or ``-`` for ``stdin``."""

    context: str
    dockerfile: str = ""  # -f; "-" is standard input
    tags: Sequence[str] = ()
    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    platforms: Sequence[Platform] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)  # --build-context
    no_cache: bool = False
    pull: bool = False
    secrets: Sequence[Secret] = ()
    ssh: Mapping[str, str] = field(default_factory=dict)  # id → socket path
    add_hosts: Sequence[str] = ()  # host:ip
    network: str = "default"
    shm_size: int = 64 * 1024 * 1024
    cache_from: Sequence[CachePlace] = ()
    cache_to: Sequence[CachePlace] = ()
    outputs: Sequence[Output] = ()
    compression: str = "gzip"
    epoch: int | None = None  # SOURCE_DATE_EPOCH
    default_registry: str = "docker.io"  # where base images with plain names are pulled from
    cache_bytes: int = 20 * 10**9  # what the build cache may take once the build is done


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made: its manifest or index, its names, and the ID that listings show for it."""

    image_id: Digest | None
    digest: Digest | None
    names: tuple[Reference, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
