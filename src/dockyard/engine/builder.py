"""A whole build: what the Dockerfile says becomes stages, those that the target needs run side by side, and the result
goes where it was asked for.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content.copy import together
from dockyard.content.threads import in_thread
from dockyard.dockerfile.check_options import CHECK_OPTIONS, check_options
from dockyard.dockerfile.checks import check, refuse
from dockyard.dockerfile.parser import parse
from dockyard.dockerfile.plan import PlanOptions, find_target, needed, outline, plan_stage
from dockyard.dockerfile.steps import Where
from dockyard.engine.base_images import BaseImages
from dockyard.engine.build_context import open_context
from dockyard.engine.build_events import Built
from dockyard.engine.build_state import State
from dockyard.engine.cache import BuildCache, oldest_over
from dockyard.engine.cache_transfer import export_records, imported
from dockyard.engine.delivery import Delivery
from dockyard.engine.places import Contexts, Places
from dockyard.engine.reach import Reach, let_go
from dockyard.engine.snapshots import Snapshots
from dockyard.engine.stage import Stage
from dockyard.engine.vertices import Vertices
from dockyard.engine.works import Works
from dockyard.errors import BuildFailed, Denied, DockerfileInvalid, Unauthenticated, Unavailable
from dockyard.oci.platform import host_platform
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from dockyard.content.http import RegistryClient
    from dockyard.dockerfile.instructions import Dockerfile
    from dockyard.dockerfile.steps import StageHead
    from dockyard.engine.build_context import BuildContext
    from dockyard.engine.build_events import BuildEvent, BuildRequest, CachePlace
    from dockyard.engine.cache_transfer import ImportedCache
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

    Connect = Callable[[str], RegistryClient]


async def build(
    images: Images,
    names: Names,
    request: BuildRequest,
    connect: Connect,
    tell: Callable[[BuildEvent], None],
    *,
    clock: Callable[[], float],
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
) -> Built:
    """Build what ``request`` asks for. DockerfileInvalid, BuildFailed, and what registries and disks raise."""
    vertices = Vertices(tell, clock)
    loose: set[Digest] = set()
    try:
        built = await _build(images, names, request, connect, vertices, loose, stdin, stdout)
    finally:
        if loose:
            await asyncio.to_thread(let_go, images, loose)
        await asyncio.to_thread(Snapshots(images).sweep)
    await asyncio.to_thread(_bound, images, request.cache_bytes)
    return built


async def _build(
    images: Images,
    names: Names,
    request: BuildRequest,
    connect: Connect,
    vertices: Vertices,
    loose: set[Digest],
    stdin: BinaryIO | None,
    stdout: BinaryIO | None,
) -> Built:
    """Build and deliver; ``loose`` takes up what that puts into the store without a name."""
    wanted = tuple(dict.fromkeys(request.platforms)) or (images.platform,)
    references = [_tag(text, names) for text in dict.fromkeys(request.tags)]
    if not references and any(output.push and not output.names for output in request.outputs):
        raise BuildFailed("tag is needed when pushing to registry", hint="Name the image with -t.")
    async with AsyncExitStack() as stack:
        session = stack.enter_context(images.session())
        threads = stack.enter_context(ThreadPoolExecutor(max(8, 2 * (os.cpu_count() or 1)), "build"))
        await in_thread(threads, session.make)
        work = stack.enter_context(Snapshots(session).work())
        opened = await in_thread(threads, open_context, request, vertices, stdin, work)
        context = stack.enter_context(opened)
        stack.enter_context(_shown(context))
        file = parse(context.dockerfile, name=context.dockerfile_name)
        _check(file, context, request, vertices)
        bases = BaseImages(session, names, connect, request, vertices)
        stack.push_async_callback(bases.end)
        imports = [await _import(place, request, connect, vertices, stack) for place in request.cache_from]
        caches = [cache for cache in imports if cache]
        works = Works(session, request, vertices, threads, work, caches)
        contexts = stack.enter_context(Contexts(works, context))
        graphs = [_Graph(works, bases, contexts, file, platform, several=len(wanted) > 1) for platform in wanted]
        states = await together(graph.build() for graph in graphs)
        for word in sorted(set.intersection(*(graph.unused for graph in graphs))):
            works.warn(f"[Warning] One or more build-args [{word}] were not consumed")
        built = await Delivery(session, works, connect, references, loose, stdout).deliver(wanted, states)
        for place in request.cache_to:
            with vertices.vertex(f"exporting cache to {place.where}"):
                records = works.records(graphs[0].chain if place.mode == "min" else None)
                loose |= await export_records(place, records, session, connect, request.default_registry)
    return built


def _check(file: Dockerfile, context: BuildContext, request: BuildRequest, vertices: Vertices) -> None:
    """Tell of what works in the Dockerfile and should be otherwise. DockerfileInvalid where it says: as an error."""
    options = check_options(file, request.build_args.get(CHECK_OPTIONS))
    findings = check(file, options=options, ignored=context.rules.excludes)
    if findings:
        with vertices.vertex("[internal] check build definition") as vertex:
            for found in findings:
                vertex.warning(f"{found.rule}: {found.message} (line {found.line})")
    if options.error:
        refuse(file, findings)


@contextmanager
def _shown(context: BuildContext) -> Iterator[None]:
    """Give errors of the Dockerfile its text, for a message that shows what stands around."""
    try:
        yield
    except DockerfileInvalid as error:
        if error.file == context.dockerfile_name:
            error.lines = tuple(context.dockerfile.splitlines())
        raise


class _Graph:
    """The stages of one platform."""

    def __init__(
        self,
        works: Works,
        bases: BaseImages,
        contexts: Contexts,
        file: Dockerfile,
        platform: Platform,
        *,
        several: bool,
    ) -> None:
        request = works.request
        self._works, self._bases, self._file = works, bases, file
        self._options = PlanOptions(
            target=request.target,
            build_args=request.build_args,
            platform=platform,
            build_platform=host_platform("linux", os.uname().machine),
            contexts=frozenset(request.contexts),
            labels=request.labels,
            network=request.network,
        )
        self._heads = outline(file, self._options)
        self._target = find_target(self._heads, request.target)
        self._order = needed(self._heads, self._target)
        self._prefix = f"{platform} " if several else ""
        self._exact = bool(request.platforms)
        self._results: dict[int, asyncio.Future[State]] = {}
        self._places = Places(works, contexts, bases, self._result, platform, exact=self._exact)
        self._group = asyncio.TaskGroup()
        self._arguments: dict[int, Mapping[str, str | None]] = {}
        self.unused: set[str] = set(request.build_args)

    async def build(self) -> State:
        """Build the target and what it needs. The first error ends everything and is raised as it is."""
        try:
            async with self._group:
                for index in self._order:
                    self._require(index)
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
        return self._results[self._target].result()

    @property
    def chain(self) -> set[int]:
        """The target and the stages that it starts from, by index."""
        found, index = {self._target}, self._target
        while self._heads[index].base.where is Where.STAGE:
            index = self._heads[index].base.stage
            found.add(index)
        return found

    def _require(self, index: int) -> asyncio.Future[State]:
        if index not in self._results:
            self._results[index] = asyncio.get_running_loop().create_future()
            self._group.create_task(self._stage(self._heads[index]))
        return self._results[index]

    async def _result(self, index: int) -> State:
        return await asyncio.shield(self._require(index))

    async def _stage(self, head: StageHead) -> None:
        base = await self._base(head)
        if base.platform.os != head.platform.os:  # a Windows base in the store of a Linux engine
            head = replace(head, platform=base.platform)
        plan = plan_stage(
            self._file,
            head,
            None if head.base.where is Where.SCRATCH else base.config,
            self._options,
            heads=self._heads,
            base_author=base.author,
            base_arguments=self._arguments.get(head.base.stage),
        )
        self._arguments[head.index] = plan.arguments
        self.unused &= set(plan.unused_args)
        for origin in plan.needs:
            if origin.where is Where.STAGE:
                self._require(origin.stage)
        name = f"{head.name} " if len(self._order) > 1 else ""
        stage = Stage(self._works, self._places, self._file, plan, base, f"{self._prefix}{name}")
        self._results[head.index].set_result(await stage.build())

    async def _base(self, head: StageHead) -> State:
        base = head.base
        if base.where is Where.SCRATCH:
            return State(head.platform)
        if base.where is Where.STAGE:
            return await self._result(base.stage)
        exact = self._exact or head.platform != self._options.platform
        if base.where is Where.IMAGE:
            return await self._bases.state(base.name, head.platform, exact=exact)
        return await self._places.named(base.name, head.platform, exact=exact)


def _tag(text: str, names: Names) -> Reference:
    reference = parse_reference(text, default_registry=names.default_registry).tagged()
    if reference.digest:
        raise BuildFailed(f'invalid tag "{text}": a built image can\'t be named by a digest')
    return reference


async def _import(
    place: CachePlace, request: BuildRequest, connect: Connect, vertices: Vertices, stack: AsyncExitStack
) -> ImportedCache | None:
    """A cache of another place; one that can't be had now makes a build slower, not fail."""
    with vertices.vertex(f"importing cache manifest from {place.where}") as vertex:
        try:
            return await stack.enter_async_context(imported(place, connect, request.default_registry))
        except (Unavailable, Unauthenticated, Denied) as error:
            vertex.warning(f"the cache is not used: {error.message}")
            return None


def _bound(images: Images, most: int) -> None:
    """Give up the records that were not used for the longest, down to ``most`` bytes."""
    from dockyard.engine.prune_cache import forget

    cache = BuildCache(images.root)
    if oldest_over(cache.rows(images.files.size, set()), most):
        # Which layers images have too is asked only where it matters: it takes reading all of them.
        shared = Reach(images).of(images.entries.read())
        while over := oldest_over(cache.rows(images.files.size, shared), most):
            forget(images, cache, [row.id for row in over])
