"""What a build does, step by step: the plan of a stage once variables are expanded. Data alone.

Everything about an image's config is decided here; only what the files will be is left to the engine.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockyard.dockerfile.instructions import Location
    from dockyard.oci.platform import Platform


class Where(enum.Enum):
    """What kind of place files come from."""

    CONTEXT = "context"  # the build's own context
    STAGE = "stage"  # an earlier stage, by its index
    IMAGE = "image"  # an image, by its name
    NAMED = "named"  # a context of --build-context, by its name
    SCRATCH = "scratch"  # nothing


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that files come from: ``name`` for IMAGE and NAMED, ``stage`` for STAGE."""

    where: Where
    name: str = ""
    stage: int = -1


@dataclass(frozen=True, slots=True)
class Mount:
    """One ``RUN --mount``, read and checked. ``target`` is absolute."""

    type: str  # bind, cache, tmpfs, secret, ssh
    target: str
    origin: Origin | None = None  # of bind (the context where nothing is said) and cache
    source: str = ""  # a path in the origin
    id: str = ""
    readonly: bool = False
    sharing: str = "shared"  # of cache: shared, private, locked
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None  # bytes, of tmpfs
    env: str = ""  # of secret: the variable that gets its content


@dataclass(frozen=True, slots=True)
class RunAction:
    """Run ``words`` and keep what changed. ``env`` is all it sees: the image's environment and build arguments.

    ``scripts`` are files by absolute path that are there while it runs, and only then. ``transient`` are the names in
    ``env`` that say how to reach the network, not what to make: they are in no history and decide no cache.
    """

    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    user: str
    workdir: str
    mounts: tuple[Mount, ...] = ()
    network: str = "default"  # default, none, host
    security: str = "sandbox"
    scripts: tuple[tuple[str, str], ...] = ()
    transient: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyAction:
    """Copy files into the stage. ``destination`` is absolute; it ends with ``/`` where it must be a folder.

    ``inline`` are files by name with their content, from here-documents. ``add`` also takes URLs, git repositories
    and local archives, which it unpacks unless ``unpack`` says otherwise.
    """

    origin: Origin
    sources: tuple[str, ...]
    destination: str
    inline: tuple[tuple[str, bytes], ...] = ()
    add: bool = False
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class FolderAction:
    """Make a folder and its parents unless they are there: what WORKDIR does to the files.

    ``owner`` is who owns what is made, as USER and --chown write it; root where it is empty.
    """

    path: str
    owner: str = ""


Action = RunAction | CopyAction | FolderAction


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction to carry out.

    ``text`` is what progress shows, ``created_by`` what the image's history says; where that is empty, history does
    not mention the step. ``config`` is the image config's ``config`` object after it; ``author`` the image's. Without
    an ``action`` it changes nothing but the config.
    """

    location: Location
    text: str
    created_by: str
    config: Mapping[str, Any]
    action: Action | None = None
    author: str = ""


@dataclass(frozen=True, slots=True)
class StageHead:
    """What is known of a stage before its base image is: where it starts from, and its platform."""

    index: int
    name: str  # as progress shows it: the alias, or stage-N
    base: Origin  # SCRATCH, STAGE, IMAGE or NAMED
    platform: Platform
    needs: tuple[Origin, ...]  # what its COPY --from and RUN --mount=from name, ONBUILD left aside
    location: Location


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage ready to be built: its steps, and all places that they need files from.

    ``arguments`` are the build arguments at its end, which a stage that starts from it begins with. ``unused_args``
    are those that nothing in the file and in this stage's triggers declares.
    """

    head: StageHead
    steps: tuple[Step, ...]
    needs: tuple[Origin, ...]
    config: Mapping[str, Any]  # after the last step, or the base's where there is none
    unused_args: tuple[str, ...] = ()
    arguments: Mapping[str, str | None] = field(default_factory=dict)
