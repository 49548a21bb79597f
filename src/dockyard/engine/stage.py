"""Carrying out the steps of one stage: each is looked up in the cache, and done where it is not there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dockyard.content.diff import diff_layer, open_file
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.tar_headers import SECOND
from dockyard.content.trees import Node
from dockyard.dockerfile.keys import step_key
from dockyard.dockerfile.steps import CopyAction, FolderAction, RunAction, Where
from dockyard.engine.cache import Record
from dockyard.engine.emulation import refuse_foreign
from dockyard.engine.layer_trees import tree_of
from dockyard.engine.ownership import Owner, read_owner
from dockyard.engine.running import RunOptions, run
from dockyard.errors import BuildFailed
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from dockyard.dockerfile.instructions import Dockerfile
    from dockyard.dockerfile.steps import Action, Origin, StagePlan, Step
    from dockyard.engine.build_state import State
    from dockyard.engine.copying import CopyPlan
    from dockyard.engine.places import Places
    from dockyard.engine.snapshots import Stack
    from dockyard.engine.vertices import Vertex
    from dockyard.engine.works import Works

    Make = Callable[[], Awaitable[Record]]


class Stage:
    """One stage of one platform. ``prefix`` goes before the count in the names that progress shows."""

    def __init__(
        self, works: Works, places: Places, file: Dockerfile, plan: StagePlan, base: State, prefix: str
    ) -> None:
        self._works, self._places, self._file = works, places, file
        self._plan, self._base, self._prefix = plan, base, prefix

    async def build(self) -> State:
        """Carry out every step; the state after the last one. BuildFailed, and what disks and registries raise."""
        state, plan = self._base, self._plan
        count = sum(step.action is not None for step in plan.steps)
        number, total = 0, count
        if plan.head.base.where is not Where.SCRATCH:
            number, total = 1, count + 1
            if plan.head.base.where is not Where.STAGE:
                with self._works.vertices.vertex(f"[{self._prefix}1/{total}] FROM {self._shown()}") as vertex:
                    vertex.cached()
        for step in plan.steps:
            if step.action is None:
                state = state.after(step, None, 0.0, self._works.request.epoch)
                continue
            number += 1
            for origin in _origins(step.action):
                await self._places.wait(origin)  # a step has not begun while another stage is still at work
            with self._works.vertices.vertex(f"[{self._prefix}{number}/{total}] {step.text}") as vertex:
                try:
                    record = await self._record(step, step.action, state, vertex)
                except BuildFailed as error:
                    error.file, error.lines = self._file.name, self._file.lines
                    error.line, error.end_line = step.location.line, step.location.end_line
                    raise
            state = state.after(step, record.layer, record.newest, self._works.request.epoch)
        return state

    def _shown(self) -> str:
        """What the stage starts from, with its full name."""
        base = self._plan.head.base
        if base.where is Where.IMAGE:
            return str(parse_reference(base.name, default_registry=self._works.request.default_registry).tagged())
        return base.name

    async def _record(self, step: Step, action: Action, state: State, vertex: Vertex) -> Record:
        if isinstance(action, CopyAction):
            return await self._copy(step, action, state, vertex)
        if isinstance(action, RunAction):
            return await self._run(step, action, state, vertex)
        key = self._key(step, state, [])
        return await self._cached(key, vertex, lambda: self._works.run(self._folder, action, step, state))

    async def _cached(self, key: str, vertex: Vertex, make: Make) -> Record:
        """What the cache has of a key, else what ``make`` makes, which the cache has from then on."""
        works, stage = self._works, self._plan.head.index
        async with works.lock(key):
            if record := await works.recall(key, stage):
                vertex.cached()
                return record
            record = await make()
            await works.remember(key, stage, record)
            return record

    def _key(self, step: Step, state: State, inputs: list[str]) -> str:
        request = self._works.request
        found = step_key(
            diff_ids=state.diff_ids, platform=state.platform, step=step, inputs=inputs, epoch=request.epoch
        )
        # The time of folders made on the way is the state's; the same files in another form are another record.
        more = f"{found} {request.compression} {self._works.time(state)}"
        return hashlib.sha256(more.encode()).hexdigest()

    async def _run(self, step: Step, action: RunAction, state: State, vertex: Vertex) -> Record:
        refuse_foreign(state.platform)
        inputs = [await self._places.identity(mount.origin, mount.source) for mount in action.mounts if mount.origin]
        request = self._works.request
        inputs.append(f"hosts {sorted(request.add_hosts)} shm {request.shm_size}")
        key = self._key(step, state, inputs)

        async def make() -> Record:
            found = {origin: await self._places.folder(origin) for origin in dict.fromkeys(_origins(action))}
            return await self._works.run(self._execute, step, action, state, _Sources(found), vertex)

        return await self._cached(key, vertex, make)

    def _execute(self, step: Step, action: RunAction, state: State, sources: _Sources, vertex: Vertex) -> Record:
        works, request = self._works, self._works.request
        stack = works.unpack(state)
        options = RunOptions(
            cache_mounts=works.images.root / "cache-mounts",
            platform=state.platform,
            shm_size=request.shm_size,
            add_hosts=request.add_hosts,
            secrets={secret.id: secret.value for secret in request.secrets},
            ssh=request.ssh,
            canceled=lambda: works.stopped,
        )
        with works.snapshots.work() as work:
            outcome = run(action, stack, work=work, sources=sources, options=options, output=vertex.output)
            changed = (
                (entry, open_file(path) if path else None)
                for entry, path in diff_layer(outcome.upper, skip=outcome.skip)
            )
            record = works.write(changed, state, text=step.text, kind="exec")
            # With clamped times the folder is not what the layer says.
            if outcome.pure and request.epoch is None and record.layer:
                works.snapshots.adopt(stack, record.layer.diff_id, outcome.upper)
        return record

    async def _copy(self, step: Step, action: CopyAction, state: State, vertex: Vertex) -> Record:
        works = self._works
        quick = await self._places.identity(action.origin)
        if quick:  # what a stage or image is, is known without reading it
            key = self._key(step, state, [quick])
            async with works.lock(key):
                if record := await works.recall(key, self._plan.head.index):
                    vertex.cached()
                    return record
        plan = await self._places.plan(action, vertex)
        exact = self._key(step, state, [await works.run(plan.checksum)])
        record = await self._cached(exact, vertex, lambda: works.run(self._write, plan, step, state))
        if quick:
            await works.remember(key, self._plan.head.index, record)
        return record

    def _write(self, plan: CopyPlan, step: Step, state: State) -> Record:
        target = tree_of(self._works.images, state.layers, windows=state.is_windows)
        entries = plan.entries(target, time=self._works.time(state))
        return self._works.write(entries, state, text=step.text, kind="file")

    def _folder(self, action: FolderAction, step: Step, state: State) -> Record:
        tree = tree_of(self._works.images, state.layers, windows=state.is_windows)
        real = tree.real(action.path.strip("/"))
        entries: list[tuple[Entry, None]] = []
        # Windows' users are in no file of a layer, and own nothing by number.
        owner = read_owner(action.owner, tree) if action.owner and not state.is_windows else Owner()
        parts = [part for part in real.split("/") if part]
        for count in range(1, len(parts) + 1):
            name = "/".join(parts[:count])
            there = tree.lstat(name)
            if there is None:
                mtime = self._works.time(state) * SECOND
                node = Node(Kind.FOLDER, 0o755, owner.uid, owner.gid, mtime, type=b"5")
                entries.append((Entry(name, node), None))
            elif there.kind is not Kind.FOLDER:
                raise BuildFailed(f"cannot make the folder {action.path}: /{name} is a file")
        if not entries:
            return Record(None, 0.0, step.text, "file")
        return self._works.write(iter(entries), state, text=step.text, kind="file")


def _origins(action: Action) -> list[Origin]:
    if isinstance(action, CopyAction):
        return [action.origin]
    return [mount.origin for mount in action.mounts if mount.origin] if isinstance(action, RunAction) else []


class _Sources:
    """Where a RUN's mounts find their files: found before, as a thread can't wait for another stage."""

    def __init__(self, found: Mapping[Origin, Path | Stack]) -> None:
        self._found = found

    def find(self, origin: Origin) -> Path | Stack:
        """A folder of the machine, or unpacked layers."""
        return self._found[origin]
