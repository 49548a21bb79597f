"""What the process that launches a container is told, as JSON over a pipe that nobody else can read.

::

    WORK/upper, WORK/work   what the command changes, as overlayfs keeps it
    WORK/stubs              a layer of mount points that the image lacks: the command's own changes stay apart from them
    WORK/stubs.json         their paths
    WORK/written/<n>        what is written to a bind mount, and thrown away
    WORK/private            a tmpfs that only the launched processes see: bundle, runc's state, secrets
    WORK/runc.log           what runc says
    WORK/failure            why the launch failed, where it did
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

FAILED = 125  # the launch itself failed, and WORK/failure says why


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """One mount of a command.

    ``bind``: ``source`` in the layers ``lowers``, or in the folder ``host``; what is written to it is thrown away.
    ``cache``: ``cache`` is its own folder; a ``seeded`` one begins with what a bind would show.
    ``tmpfs``: of ``size`` bytes. ``file``: with ``content``, in memory. ``socket``: the one at ``host``.
    """

    kind: str
    target: str
    host: str = ""
    cache: str = ""
    seeded: bool = False
    lowers: tuple[str, ...] = ()
    source: str = ""
    readonly: bool = False
    content: bytes = field(default=b"", repr=False)  # may be a secret
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """One command in one container. ``lowers`` are its layers, the lowest first; ``env`` is all that it sees."""

    work: str
    lowers: tuple[str, ...]
    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = field(repr=False)
    user: str
    workdir: str
    mounts: tuple[PlannedMount, ...]
    network: str
    shm_size: int
    cgroup: str
    seccomp: str  # where the profile is
    rootless: bool
    parent: int  # the process that asks; with it, the container ends

    def dump(self) -> bytes:
        """The plan as it is sent."""
        return json.dumps(asdict(self), default=lambda value: base64.b64encode(value).decode()).encode()

    @classmethod
    def load(cls, raw: bytes) -> Self:
        """The plan as it was sent."""
        fields = json.loads(raw)
        mounts = [
            mount | {"content": base64.b64decode(mount["content"]), "lowers": tuple(mount["lowers"])}
            for mount in fields["mounts"]
        ]
        lists = {"lowers": tuple(fields["lowers"]), "words": tuple(fields["words"])}
        env = tuple((key, value) for key, value in fields["env"])
        return cls(**fields | lists | {"env": env, "mounts": tuple(PlannedMount(**mount) for mount in mounts)})
