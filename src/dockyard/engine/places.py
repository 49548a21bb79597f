"""Where the steps of one platform find files: the context, named contexts, earlier stages, images, the web."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.dockerfile.steps import CopyAction, Origin, Where
from dockyard.engine.base_images import DOCKER_IMAGE, OCI_LAYOUT
from dockyard.engine.build_context import open_tree
from dockyard.engine.copying import plan_copy
from dockyard.engine.fetching import Fetcher, is_remote
from dockyard.engine.git import is_git
from dockyard.engine.layer_trees import FILES
from dockyard.engine.stack_tree import StackTree
from dockyard.errors import BuildFailed, DigestInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from dockyard.engine.base_images import BaseImages
    from dockyard.engine.build_context import BuildContext
    from dockyard.engine.build_state import State
    from dockyard.engine.copying import CopyPlan
    from dockyard.engine.fetching import FetchedFile, FetchedTree
    from dockyard.engine.snapshots import Stack
    from dockyard.engine.vertices import Vertex
    from dockyard.engine.walking import WalkTree
    from dockyard.engine.works import Works
    from dockyard.oci.platform import Platform


class Contexts:
    """The context and the named ones, each opened once for all platforms, and put into folders where they must be."""

    def __init__(self, works: Works, main: BuildContext) -> None:
        self._works, self._main = works, main
        self._named: dict[str, WalkTree] = {}
        self._folders: dict[Origin, Path] = {}
        self._stack = ExitStack()

    def tree(self, origin: Origin) -> WalkTree:
        """The files of a context. For a thread. BuildFailed, Unavailable."""
        if origin.where is Where.CONTEXT:
            return self._main.tree
        if origin.name not in self._named:
            where = self._works.request.contexts[origin.name]
            self._named[origin.name] = open_tree(where, self._works.work, self._stack, fetcher=self._works.fetcher)
        return self._named[origin.name]

    def folder(self, origin: Origin) -> Path:
        """A folder of what a step may see of a context: the context itself, a copy where some of it is left out."""
        if origin.where is Where.CONTEXT and self._main.place and not self._main.rules.rules:
            return self._main.place
        if origin not in self._folders:
            tree = self.tree(origin)
            made = Path(tempfile.mkdtemp(prefix="context-", dir=self._works.work))
            made.chmod(0o755)
            write_tree(tree, made)
            self._folders[origin] = made
        return self._folders[origin]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()


class Places:
    """Finds files for the stages of one platform. ``result`` waits for an earlier stage.

    Images that are copied from are of ``platform``, whatever the stage is for, as in docker; ``exact`` where that was
    asked for.
    """

    def __init__(
        self,
        works: Works,
        contexts: Contexts,
        bases: BaseImages,
        result: Callable[[int], Awaitable[State]],
        platform: Platform,
        *,
        exact: bool,
    ) -> None:
        self._works, self._contexts, self._bases, self._result = works, contexts, bases, result
        self._platform, self._exact = platform, exact

    async def named(self, name: str, platform: Platform, *, exact: bool = False) -> State:
        """The image that a named context is, for FROM. BuildFailed where it is something else."""
        where = self._works.request.contexts[name]
        if not where.startswith((DOCKER_IMAGE, OCI_LAYOUT)):
            raise BuildFailed(
                f"the build context {name} is no image, and can't be what a stage starts from",
                hint=f"Give an image: --build-context {name}=docker-image://NAME or oci-layout://FOLDER.",
            )
        return await self._bases.state(where, platform, exact=exact)

    async def wait(self, origin: Origin) -> None:
        """Wait until an earlier stage is built."""
        if origin.where is Where.STAGE:
            await self._result(origin.stage)

    async def identity(self, origin: Origin, source: str | None = None) -> str:
        """What tells a place's content from another's; for a context that of ``source`` in it, ``""`` without one."""
        if state := await self._state(origin):
            return f"{state.platform.os} layers {state.chain}" if state.is_windows else f"layers {state.chain}"
        if source is None:
            return ""
        action = CopyAction(origin, (source or ".",), "/")
        plan = await self._works.run(self._plan, action, await self._works.run(self._contexts.tree, origin), {})
        return await self._works.run(plan.checksum)

    async def folder(self, origin: Origin) -> Path | Stack:
        """A place as a RUN can mount it: a folder, or unpacked layers."""
        if state := await self._state(origin):
            return await self._works.run(self._works.unpack, state)
        return await self._works.run(self._contexts.folder, origin)

    async def plan(self, action: CopyAction, vertex: Vertex) -> CopyPlan:
        """What a COPY or ADD takes, with what it fetches fetched. BuildFailed, DigestInvalid, Unavailable."""
        remote = [source for source in action.sources if action.add and is_remote(source)]
        fetched = {source: await self._fetch(action, source, vertex) for source in remote}
        tree: WalkTree | None = None
        state: State | None = None
        if len(fetched) < len(action.sources):
            if state := await self._state(action.origin):
                stack = await self._works.run(self._works.unpack, state)
                tree = StackTree(stack.lowers)
                tree = tree.below(FILES.rstrip("/")) if state.is_windows else tree
            else:
                tree = await self._works.run(self._contexts.tree, action.origin)
        try:
            return await self._works.run(self._plan, action, tree, fetched)
        except BuildFailed as error:
            if state and (absent := self._works.absent(state)):
                error.hint = f"A layer of the base is not here, only at {', '.join(absent[0].descriptor.urls)}."
            raise

    def _plan(
        self, action: CopyAction, tree: WalkTree | None, fetched: dict[str, FetchedFile | FetchedTree]
    ) -> CopyPlan:
        return plan_copy(action, tree, self._works.checksums, self._works.work, fetched=fetched)

    async def _fetch(self, action: CopyAction, source: str, vertex: Vertex) -> FetchedFile | FetchedTree:
        fetcher: Fetcher = self._works.fetcher
        if not is_git(source):
            return await fetcher.file(
                source, checksum=action.checksum, progress=lambda done, total: vertex.status("downloading", done, total)
            )
        tree = await self._works.run(fetcher.tree, source, keep_git_dir=action.keep_git_dir)
        if action.checksum and not tree.commit.startswith(action.checksum.removeprefix("sha1:")):
            raise DigestInvalid(f"{source}: expected checksum {action.checksum}, got {tree.commit}")
        return tree

    async def _state(self, origin: Origin) -> State | None:
        """What is an image or becomes one; ``None`` for a context of files."""
        if origin.where is Where.STAGE:
            return await self._result(origin.stage)
        if origin.where is Where.IMAGE:
            return await self._bases.state(origin.name, self._platform, exact=self._exact)
        if origin.where is Where.NAMED and self._works.request.contexts[origin.name].startswith(
            (DOCKER_IMAGE, OCI_LAYOUT)
        ):
            return await self.named(origin.name, self._platform, exact=self._exact)
        return None


def write_tree(tree: WalkTree, target: Path) -> None:
    """Write the files, folders and links of a tree into an empty folder, with their modes."""
    modes: list[tuple[Path, int]] = []
    with tree.reader() as reader:
        for found in tree.walk(""):
            path = target / found.path
            mode = stat.S_IMODE(found.status.st_mode)
            if found.is_folder:
                path.mkdir()
                modes.append((path, mode))
            elif found.is_link:
                path.symlink_to(found.link)
            elif found.is_file:
                with reader.open(found) as source, path.open("xb") as out:
                    while piece := source.read(1 << 20):
                        out.write(piece)
                    os.fchmod(out.fileno(), mode)
    for path, mode in reversed(modes):
        path.chmod(mode)
