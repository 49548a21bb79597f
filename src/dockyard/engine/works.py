"""What the stages of one build share: the store, the cache, threads, and the writing of layers."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from dockyard.content.graph import stays_away
from dockyard.content.index import LayerIndex
from dockyard.content.known_frames import KnownFrames, Lazy, save_table
from dockyard.content.layers import LayerWriter
from dockyard.content.threads import in_thread
from dockyard.engine.build_state import Layer
from dockyard.engine.cache import BuildCache, Record
from dockyard.engine.checksums import Checksums
from dockyard.engine.fetching import Fetcher
from dockyard.engine.layer_trees import frames_path, index_path
from dockyard.engine.snapshots import Snapshots
from dockyard.errors import BuildFailed
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.image import next_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.content.layers import Entry
    from dockyard.engine.build_events import BuildRequest
    from dockyard.engine.build_state import State
    from dockyard.engine.cache_transfer import ImportedCache
    from dockyard.engine.images import Images
    from dockyard.engine.snapshots import Stack
    from dockyard.engine.vertices import Vertices

P = ParamSpec("P")
T = TypeVar("T")


class Works:
    """One build's workshop. ``work`` is a folder for what must be put somewhere until the build ends."""

    def __init__(
        self,
        images: Images,
        request: BuildRequest,
        vertices: Vertices,
        threads: Executor,
        work: Path,
        caches: Sequence[ImportedCache] = (),
    ) -> None:
        self.work = work
        self.images, self.request, self.vertices, self.threads = images, request, vertices, threads
        self.snapshots, self.cache = Snapshots(images), BuildCache(images.root)
        self.checksums = Checksums(images.root / "context-hashes")
        self.fetcher = Fetcher(images.root / "fetched")
        self._caches = caches
        self._stopped = threading.Event()
        self._locks: dict[str, asyncio.Lock] = {}
        self._used: dict[str, tuple[set[int], Record]] = {}

    @property
    def stopped(self) -> bool:
        """Whether another step failed, or somebody gave up: what runs should end."""
        return self._stopped.is_set()

    def warn(self, text: str) -> None:
        """Tell the user something that belongs to no step."""
        with self.vertices.vertex("[internal] warnings") as vertex:
            vertex.warning(text)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a plain function in a thread; a caller that is cancelled has it end soon, and waits for that."""
        running = asyncio.ensure_future(in_thread(self.threads, function, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stopped.set()
            with suppress(Exception):
                await running
            raise

    def lock(self, key: str) -> asyncio.Lock:
        """Held while a step is looked up and carried out: two stages with the same step do it once."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def recall(self, key: str, stage: int) -> Record | None:
        """What an earlier build made of the same step, here or in an imported cache, its layer held in the store."""
        if self.request.no_cache:
            return None
        record = await self.run(self.cache.get, key)
        if record and record.layer:
            await self.run(self.images.hold, record.layer.descriptor.digest)
            if not self.images.files.has(record.layer.descriptor):
                record = None
        if record is None:
            for cache in self._caches:
                if record := await cache.take(key, self.images):
                    await self.run(self.cache.put, key, record)
                    break
        if record:
            self._use(key, stage, record)
        return record

    async def remember(self, key: str, stage: int, record: Record) -> None:
        """Keep what a step made for builds to come."""
        await self.run(self.cache.put, key, record)
        self._use(key, stage, record)

    def _use(self, key: str, stage: int, record: Record) -> None:
        stages, _ = self._used.setdefault(key, (set(), record))
        stages.add(stage)

    def records(self, stages: set[int] | None) -> dict[str, Record]:
        """The records that this build used or made, of these stages or of all."""
        return {key: record for key, (used, record) in self._used.items() if stages is None or used & stages}

    def unpack(self, state: State) -> Stack:
        """The layers of a state, unpacked; without those of a Windows base that only its publisher may hand out."""
        absent = self.absent(state)
        here = [layer for layer in state.layers if layer not in absent]
        return self.snapshots.ensure([(layer.descriptor, layer.diff_id) for layer in here])

    def absent(self, state: State) -> list[Layer]:
        """The layers of a Windows base that only its publisher may hand out, where they are not in the store."""
        away = [layer for layer in state.layers if stays_away(layer.descriptor)]
        return [layer for layer in away if not self.images.files.has(layer.descriptor)]

    def write(
        self, entries: Iterable[tuple[Entry, BinaryIO | bytes | Lazy | None]], state: State, *, text: str, kind: str
    ) -> Record:
        """Write a layer, and the index of what is in it. BuildFailed where the build was stopped meanwhile."""
        request, images = self.request, self.images
        with (
            self._known(text, kind) as known,
            images.files.create() as blob,
            LayerWriter(
                blob,
                "zstd" if request.compression == "zstd" else "gzip",
                clamp=request.epoch,
                windows=state.is_windows,
                implied=self.time(state),
                known=known if kind == "file" else None,
            ) as writer,
        ):
            for entry, data in entries:
                if self.stopped:
                    raise BuildFailed("canceled")
                try:
                    writer.add(entry, data)
                finally:
                    if data is not None and not isinstance(data, bytes | Lazy):
                        data.close()
            made = writer.finish()
            images.hold(made.digest)
            blob.commit()
        LayerIndex(made.index, made.texts).save(index_path(images, made.diff_id))
        if made.frames:
            save_table(frames_path(images, made.digest), made.frames)
        layer = Layer(Descriptor(made.media_type, made.digest, made.size), made.diff_id)
        chain = str(next_chain(state.chain, made.diff_id))
        return Record(layer, float(made.newest), text, kind, made.unpacked_size, chain)

    def _known(self, text: str, kind: str) -> KnownFrames:
        """The frames of the layer that the same instruction made the last time, in the same compression."""
        if kind != "file":
            return KnownFrames()
        form = "+zstd" if self.request.compression == "zstd" else "+gzip"
        layers = [
            (used, record.layer.descriptor.digest)
            for _, record, _, used in self.cache.records()
            if record.text == text and record.layer and record.layer.descriptor.media_type.endswith(form)
        ]
        if not layers:
            return KnownFrames()
        _, digest = max(layers)
        self.images.hold(digest)
        return KnownFrames.load(frames_path(self.images, digest), self.images.files.path(digest))

    def time(self, state: State) -> int:
        """The time of folders that a build makes by itself, in seconds."""
        return int(state.created) if self.request.epoch is None else self.request.epoch
