"""The one transfer: push, pull, save, load, and from registry to registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dockyard.content import fit, graph
from dockyard.content.protocols import Event, Mounts, Outcome, Sink, Source, Status
from dockyard.content.retry import Retry
from dockyard.content.streams import closing
from dockyard.errors import BlobUnknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import RepositoryName

T = TypeVar("T")
Origins = Callable[["Digest"], Iterable["RepositoryName"]]
"""Repositories of the sink's registry that may have a blob, the likeliest first."""

CONCURRENCY = 4
"""Blobs moved at once."""
QUESTIONS = 16
"""Small requests under way at once: does the sink have this blob, which manifest is that."""
MOUNTS = 3
"""Repositories that are tried as the origin of one blob."""


def no_origins(_: Digest) -> Iterable[RepositoryName]:
    """Nothing is known of other repositories."""
    return ()


@dataclass(frozen=True, slots=True)
class Copied:
    """What a transfer did. ``root`` is what the name meant; ``manifest`` what was put, for one platform its child."""

    root: Manifest
    manifest: Manifest
    sent: int = 0  # bytes that were read from the source and written
    written: int = 0  # blobs, here and below
    existed: int = 0
    mounted: int = 0
    skipped: int = 0


async def copy(
    source: Source,
    sink: Sink,
    name: str | Digest,
    *,
    to: str | None = None,
    platform: Platform | None = None,
    origins: Origins = no_origins,
    on_event: Callable[[Event], None] | None = None,
    concurrency: int = CONCURRENCY,
    retry: Retry | None = None,
) -> Copied:
    """Copy the image that the source calls ``name`` and call it ``to`` in the sink; without ``to`` it stays unnamed.

    An index goes over with all it names, or as the manifest of one ``platform``. What the sink has is not sent;
    what a neighbour has is mounted. Blobs go first, then the manifests that need them, the name last: whenever this
    stops, the sink shows nothing incomplete, and the next call goes on where this one stopped.

    Raises what source and sink raise; ManifestUnknown where nothing fits the platform.
    """
    plan = await load(source, name, platform)
    transfer = _Transfer(source, sink, origins, on_event or _ignore, retry or Retry(), concurrency)
    for blob in plan.blobs:
        transfer.tell(Event(blob, Status.PREPARING))
    # The largest first, so that none is left to go alone at the end.
    await together(transfer.blob(blob) for blob in sorted(plan.blobs, key=lambda blob: -blob.size))
    await together(transfer.put(manifest) for manifest in plan.children if not manifest.is_index)
    for manifest in plan.children:
        if manifest.is_index:
            await sink.put(manifest, None)
    await sink.put(plan.target, to)
    counts = transfer.counts
    return Copied(
        plan.root,
        plan.target,
        sum(transfer.sent.values()),
        counts[Status.DONE],
        counts[Status.EXISTS],
        counts[Status.MOUNTED],
        counts[Status.SKIPPED],
    )


async def load(source: Source, name: str | Digest, platform: Platform | None) -> graph.Graph:
    """Read the manifests of an image, the children of an index at once."""
    gate = asyncio.Semaphore(QUESTIONS)

    async def one(child: Descriptor) -> Manifest:
        async with gate:
            return await source.manifest(child.digest)

    async def fetch(children: Iterable[Descriptor]) -> list[Manifest]:
        return await together(one(child) for child in children)

    target = root = await source.manifest(name)
    while platform and target.is_index:  # ends: a digest can't be inside of itself
        (target,) = await fetch([await fit.choose(source, target, platform)])
    return await graph.load(root, target, fetch)


class _Transfer:
    """The blobs of one copy on their way, and what became of each."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        origins: Origins,
        tell: Callable[[Event], None],
        retry: Retry,
        concurrency: int,
    ) -> None:
        self.source, self.sink, self.origins, self.tell, self.retry = source, sink, origins, tell, retry
        self.questions, self.slots = asyncio.Semaphore(QUESTIONS), asyncio.Semaphore(concurrency)
        self.sent: dict[Digest, int] = {}
        self.furthest: dict[Digest, int] = {}  # of each blob; bytes that have to be sent again are no progress
        self.counts = dict.fromkeys(Status, 0)

    async def blob(self, blob: Descriptor) -> None:
        """Bring one blob over, in the cheapest way that works."""
        status, detail = await self._move(blob)
        self.counts[status] += 1
        self.tell(Event(blob, status, blob.size, detail))

    async def put(self, manifest: Manifest) -> None:
        """Bring one manifest over, unnamed."""
        async with self.questions:
            await self.sink.put(manifest, None)

    async def _move(self, blob: Descriptor) -> tuple[Status, str]:
        async with self.questions:
            if await self.sink.has(blob):
                return Status.EXISTS, ""
            if isinstance(self.sink, Mounts):  # a registry
                if graph.stays_away(blob):
                    return Status.SKIPPED, ""
                for _, origin in zip(range(MOUNTS), self.origins(blob.digest), strict=False):
                    if await self.sink.mount(blob, origin):
                        return Status.MOUNTED, origin
        self.tell(Event(blob, Status.WAITING))
        async with self.slots:
            try:
                outcome = await self.retry(
                    lambda: self.sink.write(blob, _Counted(self)),
                    progress=lambda: self.furthest.get(blob.digest, 0),
                    notify=lambda error, wait: self.tell(
                        Event(blob, Status.RETRYING, detail=error.message, seconds=wait)
                    ),
                )
            except BlobUnknown:
                if not graph.stays_away(blob):
                    raise
                return Status.SKIPPED, ""  # the source does without it too
        return (Status.DONE if outcome is Outcome.WRITTEN else Status.EXISTS), ""


class _Counted:
    """The source as a sink sees it: what is read is counted and told of."""

    def __init__(self, transfer: _Transfer) -> None:
        self.transfer = transfer

    async def manifest(self, name: str | Digest) -> Manifest:
        """Return a manifest of the source."""
        return await self.transfer.source.manifest(name)

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        """Yield a blob of the source; each piece counts once its taker asks for the next one."""
        transfer, at = self.transfer, start
        transfer.tell(Event(blob, Status.MOVING, at))
        async with closing(transfer.source.open(blob, start)) as chunks:
            async for chunk in chunks:
                yield chunk
                at += len(chunk)
                transfer.sent[blob.digest] = transfer.sent.get(blob.digest, 0) + len(chunk)
                transfer.furthest[blob.digest] = max(transfer.furthest.get(blob.digest, 0), at)
                transfer.tell(Event(blob, Status.MOVING, at))


async def together(jobs: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Run all at once and return their results in order; the first error ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
    return [task.result() for task in tasks]


def _ignore(_: Event) -> None:
    pass
