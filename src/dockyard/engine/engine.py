"""The engine: what a machine does with images, each verb once, for the command line and for other front doors."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine.contexts import Contexts
from dockyard.engine.images import Images
from dockyard.engine.lookup import Names, find
from dockyard.engine.naming import reference_of
from dockyard.errors import ImageUnknown, NameInvalid
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, BinaryIO

    from dockyard.config import ClientSettings
    from dockyard.content.http import RegistryClient
    from dockyard.content.packing import Form
    from dockyard.content.plan import Plan
    from dockyard.content.protocols import Event
    from dockyard.engine.answers import Context, ImageRow
    from dockyard.engine.build_events import BuildEvent, BuildRequest, Built
    from dockyard.engine.cache import CacheRow
    from dockyard.engine.reports import DiskUsage, HistoryRow, Loaded, Pruned, Pulled, PushDone, Removed
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

    Connect = Callable[[str], RegistryClient]
    """A client for the host of a registry, not yet entered; who composes the program knows logins and certificates."""

    Filters = Iterable[tuple[str, str]]
    """Pairs of key and value, as ``--filter key=value`` gives them; several of one key are alternatives."""


class Engine:
    """One context of this machine. Local verbs are plain functions; those that move bytes to others are async."""

    def __init__(self, context: Context, images: Images, names: Names, *, clock: Callable[[], float]) -> None:
        self.context, self.images, self.names = context, images, names
        self._clock = clock

    @classmethod
    def open(cls, settings: ClientSettings, *, clock: Callable[[], float] = time.time) -> Engine:
        """The engine of the context that the settings name; raises ContextUnknown. Makes no folder."""
        context = Contexts(Path(settings.root)).get(settings.context)
        images = Images(Path(context.folder), context.platform)
        return cls(context, images, Names(settings.default_registry), clock=clock)

    def rows(self, filters: Filters = (), *, digests: bool = False) -> list[ImageRow]:
        """The lines of ``image ls``, the newest image first; with ``digests`` one for each known digest.

        Filters: ``reference`` (a pattern with ``*``, ``?`` and ``[]``, which stop at ``/``), ``dangling``,
        ``before``, ``since``, ``label``, ``until``. Raises Invalid for another, ImageUnknown.
        """
        from dockyard.engine.listing import rows

        return rows(self.images, self.names, filters, digests=digests, now=self._clock())

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name: an alias, nothing is copied. ImageUnknown, NameInvalid, TagInvalid."""
        reference = parse_reference(target, default_registry=self.names.default_registry).tagged()
        if reference.digest:
            raise NameInvalid("refusing to create a tag with a digest reference")
        self.images.alias(find(self.images, self.names, source).newest, reference)

    def remove(self, name: str, *, force: bool = False) -> list[Removed]:
        """Take a name away, and delete the image with its last one; what others share stays.

        An ID stands for all names of its image: Conflict where that is more than one tag, or more than one manifest,
        and there is no ``force``. ImageUnknown.
        """
        from dockyard.engine.removal import remove

        return remove(self.images, self.names, name, force=force)

    def prune(self, *, all_unused: bool = False, filters: Filters = ()) -> Pruned:
        """Delete images without a tag, with ``all_unused`` every image, and what broken transfers left a day ago.

        Filters: ``until`` (a time, or an age such as 24h), ``label``, ``label!``, ``dangling``.
        """
        from dockyard.engine.removal import prune

        return prune(self.images, self.names, filters, all_unused=all_unused, now=self._clock())

    def inspect(self, name: str) -> dict[str, Any]:
        """One element of docker's ``image inspect`` JSON. ImageUnknown."""
        from dockyard.engine.inspection import inspect

        return inspect(self.images, self.names, name)

    def history(self, name: str) -> list[HistoryRow]:
        """How an image was made, the newest step first. ImageUnknown."""
        from dockyard.engine.inspection import history

        return history(self.images, self.names, name)

    def disk_usage(self) -> DiskUsage:
        """The figures of ``system df``."""
        from dockyard.engine.usage import disk_usage

        return disk_usage(self.images, self.names)

    def resolve_id(self, name: str) -> Digest:
        """The ID of the image that a name, an ID or its first digits mean. ImageUnknown."""
        return find(self.images, self.names, name).id

    def save(
        self, names: Sequence[str], out: BinaryIO, *, form: Form = "docker", platform: Platform | None = None
    ) -> None:
        """Write images as one archive: ``docker`` is what ``docker save`` makes, ``oci`` an image layout in a tar."""
        from dockyard.engine.archives import save

        save(self.images, self.names, names, out, form=form, platform=platform)

    def load(self, source: BinaryIO, *, platform: Platform | None = None) -> list[Loaded]:
        """Take in the images of an archive, compressed or not. ArchiveInvalid says what is wrong with it; Full."""
        from dockyard.engine.archives import load

        return load(self.images, source, platform=platform)

    def import_(
        self,
        source: BinaryIO,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
    ) -> Digest:
        """Make an image of one layer from a tar of a file system, compressed or not; return its ID. ArchiveInvalid."""
        from dockyard.engine.importing import import_image

        reference = self.pull_reference(name) if name else None
        if reference and reference.digest:
            raise NameInvalid("cannot import to a digest reference")
        wanted = platform or self.context.platform
        return import_image(
            self.images, source, reference, changes=changes, message=message, platform=wanted, now=self._clock()
        )

    def push_references(self, name: str, *, all_tags: bool = False) -> list[Reference]:
        """The names that ``push`` would send, sorted: one with its tag (latest by default), or all of a repository."""
        meant = self.names.expand(name)
        named = [reference for entry in self.images.entries.read() if (reference := reference_of(entry))]
        for wanted in meant:
            repository = [reference for reference in named if reference.name == wanted.name and not reference.digest]
            if all_tags and repository:
                return sorted(repository)
            if wanted in repository:
                return [wanted]
        if all_tags:
            shown = self.names.shorten(replace(meant[0], tag=None))
            raise ImageUnknown(f"An image does not exist locally with the tag: {shown}")
        return meant[:1]

    async def push(
        self,
        reference: Reference,
        connect: Connect,
        *,
        platform: Platform | None = None,
        on_event: Callable[[Event], None] | None = None,
        concurrency: int = 5,
    ) -> PushDone:
        """Send what a name points to, to the registry in the name. ImageUnknown and what the registry raises."""
        from dockyard.engine.shipping import push

        return await push(
            self.images, self.names, reference, connect, platform=platform, on_event=on_event, concurrency=concurrency
        )

    async def plan_push(self, reference: Reference, connect: Connect, *, platform: Platform | None = None) -> Plan:
        """What a push would send, without sending it."""
        from dockyard.engine.shipping import plan_push

        return await plan_push(self.images, self.names, reference, connect, platform=platform)

    def pull_reference(self, name: str) -> Reference:
        """The full name that ``pull NAME`` asks a registry for. NameInvalid, TagInvalid, DigestInvalid."""
        return parse_reference(name, default_registry=self.names.default_registry).tagged()

    async def pull(
        self,
        reference: Reference,
        connect: Connect,
        *,
        platform: Platform | None = None,
        all_platforms: bool = False,
        on_event: Callable[[Event], None] | None = None,
        concurrency: int = 3,
    ) -> Pulled:
        """Fetch an image for the context's platform, another one or all of them, and name it."""
        from dockyard.engine.shipping import pull

        return await pull(
            self.images,
            reference,
            connect,
            platform=platform,
            all_platforms=all_platforms,
            on_event=on_event,
            concurrency=concurrency,
        )

    async def remote_tags(self, reference: Reference, connect: Connect) -> list[Reference]:
        """Every tag of the repository in its registry, for ``pull --all-tags``."""
        from dockyard.engine.shipping import remote_tags

        return await remote_tags(reference, connect)

    async def build(
        self,
        request: BuildRequest,
        connect: Connect,
        on_event: Callable[[BuildEvent], None],
        *,
        stdin: BinaryIO | None = None,
        stdout: BinaryIO | None = None,
    ) -> Built:
        """Build an image. DockerfileInvalid, BuildFailed, and what registries and disks raise.

        ``on_event`` is told of every step, from any thread, one call at a time. ``stdin`` is the context or Dockerfile
        called ``-``, ``stdout`` the destination ``-``.
        """
        from dockyard.engine.builder import build

        return await build(
            self.images, self.names, request, connect, on_event, clock=self._clock, stdin=stdin, stdout=stdout
        )

    def build_cache(self) -> list[CacheRow]:
        """What earlier builds made and the next ones can use, the one used last first."""
        from dockyard.engine.prune_cache import rows

        return rows(self.images)

    def prune_build_cache(self, *, all: bool = False, filters: Filters = (), keep_bytes: int | None = None) -> Pruned:
        """Give up what no image needs of the build cache, or ``all``; ``keep_bytes`` may stay. Filter: ``until``."""
        from dockyard.engine.prune_cache import prune

        return prune(self.images, all_records=all, filters=filters, keep_bytes=keep_bytes, now=self._clock())
