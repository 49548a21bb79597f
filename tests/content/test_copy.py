"""The transfer loop: what moves, what does not, in which order, and what it tells."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from content.memory import Memory

from dockyard.content.copy import CONCURRENCY, copy
from dockyard.content.plan import Fate, plan_copy
from dockyard.content.protocols import Event, Outcome, Source, Status
from dockyard.content.retry import Retry
from dockyard.errors import BlobUnknown, Denied, ManifestUnknown, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image
from dockyard.oci.media_types import DOCKER_FOREIGN_LAYER
from dockyard.oci.platform import Platform
from dockyard.oci.reference import RepositoryName

NEIGHBOUR, STRANGER = RepositoryName("team/base"), RepositoryName("other/base")


class Mounting(Memory):
    """A memory with neighbours, as a registry has them."""

    def __init__(self) -> None:
        super().__init__()
        self.neighbours: dict[RepositoryName, Memory] = {}
        self.asked: list[RepositoryName] = []

    async def mount(self, blob: Descriptor, origin: RepositoryName) -> bool:
        self.asked.append(origin)
        if not await self.mountable(blob, origin):
            return False
        self.blobs[blob.digest] = self.neighbours[origin].blobs[blob.digest]
        return True

    async def mountable(self, blob: Descriptor, origin: RepositoryName) -> bool:
        return origin in self.neighbours and blob.digest in self.neighbours[origin].blobs


@pytest.fixture
def source() -> Memory:
    memory = Memory()
    memory.add_image(b"base" * 100_000, b"app" * 1000, name="app")
    return memory


async def at_once(_: float) -> None:
    """Wait for no time at all."""


async def test_everything_goes_over_and_gets_the_name(source: Memory) -> None:
    sink = Memory()
    copied = await copy(source, sink, "app", to="hub/app:v1")

    assert sink.blobs == source.blobs
    assert sink.names == {"hub/app:v1": copied.manifest.digest}
    assert copied.written == 3
    assert copied.sent == sum(map(len, source.blobs.values()))


async def test_a_second_time_nothing_moves(source: Memory) -> None:
    sink = Memory()
    await copy(source, sink, "app", to="v1")
    copied = await copy(source, sink, "app", to="v2")

    assert (copied.sent, copied.written, copied.existed) == (0, 0, 3)
    assert sink.names["v1"] == sink.names["v2"]


async def test_without_a_name_the_image_stays_unnamed(source: Memory) -> None:
    sink = Memory()
    copied = await copy(source, sink, "app")

    assert sink.names == {}
    assert copied.manifest.digest in sink.manifests


async def test_one_platform_is_named_itself_and_the_index_is_told_of() -> None:
    source, sink = Memory(), Memory()
    amd64 = source.add_image(b"amd64", platform=Platform("linux", "amd64"))
    arm64 = source.add_image(b"arm64", platform=Platform("linux", "arm64"))
    index = source.add_index(amd64, arm64, name="both")
    copied = await copy(source, sink, "both", to="x", platform=Platform("linux", "arm64"))

    assert sink.names == {"x": arm64.digest}
    assert list(sink.manifests) == [arm64.digest]
    assert copied.root.digest == index.digest


async def test_a_layer_of_many_manifests_is_opened_once() -> None:
    source, sink = Memory(), Memory()
    systems = [Platform("linux", name) for name in ("amd64", "arm64", "s390x")]
    source.add_index(*(source.add_image(b"shared", platform=system) for system in systems), name="x")
    await copy(source, sink, "x", to="x")

    assert sorted(digest for digest, _ in source.opened) == sorted(source.blobs)


async def test_what_a_neighbour_has_is_mounted(source: Memory) -> None:
    sink = Mounting()
    sink.neighbours[NEIGHBOUR] = source
    events: list[Event] = []
    copied = await copy(source, sink, "app", to="x", origins=lambda _: [STRANGER, NEIGHBOUR], on_event=events.append)

    assert (copied.mounted, copied.sent) == (3, 0)
    assert sink.blobs == source.blobs
    assert {event.detail for event in events if event.status is Status.MOUNTED} == {NEIGHBOUR}


async def test_only_a_few_neighbours_are_asked(source: Memory) -> None:
    sink = Mounting()

    def origins(_: Digest) -> Iterable[RepositoryName]:
        return (RepositoryName(f"r{number}") for number in range(1000))

    copied = await copy(source, sink, "app", to="x", origins=origins)

    assert copied.written == 3
    assert len(sink.asked) <= 9


async def test_a_foreign_layer_stays_away_from_registries_and_comes_from_its_address_elsewhere() -> None:
    source = Memory()
    foreign = source.add(b"windows", DOCKER_FOREIGN_LAYER)
    described = Descriptor(foreign.media_type, foreign.digest, foreign.size, urls=("https://example/layer",))
    config = source.add(b"{}", "application/vnd.docker.container.image.v1+json")
    source.add_manifest(make_image(config, [described]), "win")
    hub, disk = Mounting(), Memory()
    events: list[Event] = []
    pushed = await copy(source, hub, "win", to="x", on_event=events.append)
    await copy(source, disk, "win", to="x")

    assert pushed.skipped == 1
    assert foreign.digest not in hub.blobs
    assert Event(described, Status.SKIPPED, described.size) in events
    assert foreign.digest in disk.blobs


async def test_each_blob_tells_its_story_in_order(source: Memory) -> None:
    events: list[Event] = []
    await copy(source, Memory(), "app", to="x", on_event=events.append)
    stories: dict[Digest, list[Event]] = {}
    for event in events:
        stories.setdefault(event.blob.digest, []).append(event)

    assert len(stories) == 3
    for story in stories.values():
        statuses = [event.status for event in story]
        counts = [event.current for event in story if event.status is Status.MOVING]
        assert statuses[:2] == [Status.PREPARING, Status.WAITING]
        assert statuses[-1] is Status.DONE
        assert set(statuses[2:-1]) == {Status.MOVING}
        assert counts == sorted(counts)
        assert counts[-1] == story[0].blob.size == story[-1].current


async def test_a_cut_is_told_tried_again_and_goes_on_where_it_was(source: Memory) -> None:
    sink = Memory(1000)
    sink.cut_after = 150_000
    events: list[Event] = []
    copied = await copy(source, sink, "app", to="x", on_event=events.append, retry=Retry(sleep=at_once), concurrency=1)

    assert sink.blobs == source.blobs
    (retrying,) = [event for event in events if event.status is Status.RETRYING]
    assert retrying.detail == "cut"
    assert retrying.seconds > 0
    resumed = [event.current for event in events if event.blob == retrying.blob and event.status is Status.MOVING]
    assert 150_000 in resumed
    assert copied.sent <= sum(map(len, source.blobs.values())) + source.piece


async def test_the_first_error_ends_the_copy_and_names_nothing(source: Memory) -> None:
    lost = next(digest for digest, content in source.blobs.items() if content.startswith(b"app"))
    del source.blobs[lost]
    sink = Memory()

    with pytest.raises(BlobUnknown):
        await copy(source, sink, "app", to="x")
    assert not sink.names
    assert not sink.manifests


async def test_an_answer_that_can_not_be_had_is_never_taken_for_absent(source: Memory) -> None:
    class Unclear(Memory):
        async def has(self, content: Descriptor) -> bool:
            raise Denied("denied")

    sink = Unclear()

    with pytest.raises(Denied):
        await copy(source, sink, "app", to="x")
    assert not sink.blobs


async def test_no_more_blobs_than_asked_for_move_at_once() -> None:
    source, now, most = Memory(), 0, 0

    class Watching(Memory):
        async def write(self, blob: Descriptor, source: Source) -> Outcome:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            try:
                return await super().write(blob, source)
            finally:
                now -= 1

    source.add_image(*(bytes([number]) * 1000 for number in range(30)), name="x")
    await copy(source, Watching(), "x", to="x")
    by_default, most = most, 0
    await copy(source, Watching(), "x", to="x", concurrency=2)

    assert (by_default, most) == (CONCURRENCY, 2)


async def test_children_are_put_before_what_names_them() -> None:
    source, order = Memory(), []

    class Noting(Memory):
        async def put(self, manifest: Manifest, name: str | None) -> None:
            await super().put(manifest, name)  # refuses what is incomplete
            order.append((manifest.is_index, name))

    inner = source.add_index(source.add_image(b"deep"))
    source.add_index(inner, source.add_image(b"flat"), name="x")
    await copy(source, Noting(), "x", to="x")

    assert order == [(False, None), (False, None), (True, None), (True, "x")]


async def test_a_copy_that_is_cancelled_can_be_taken_up_again() -> None:
    source, sink = Memory(1000), Memory()
    source.add_image(b"layer" * 100_000, name="x")
    half = asyncio.Event()

    class Halting(Memory):
        async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
            async for chunk in source.open(blob, start):
                yield chunk
                if sink.received > 250_000:
                    half.set()
                    await asyncio.sleep(60)

    halting = Halting()
    halting.names, halting.manifests, halting.blobs = source.names, source.manifests, source.blobs
    task = asyncio.create_task(copy(halting, sink, "x", to="x"))
    await asyncio.wait_for(half.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = sink.received
    copied = await copy(source, sink, "x", to="x")

    assert not sink.partial
    assert sink.blobs == source.blobs
    assert before + copied.sent == sum(map(len, source.blobs.values()))


async def test_an_unknown_name_is_unknown(source: Memory) -> None:
    with pytest.raises(ManifestUnknown):
        await copy(source, Memory(), "nope", to="x")


async def test_tries_are_used_up_in_the_end(source: Memory) -> None:
    class Down(Memory):
        async def write(self, blob: Descriptor, source: Source) -> Outcome:
            raise Unavailable("down")

    with pytest.raises(Unavailable, match="down"):
        await copy(source, Down(), "app", to="x", retry=Retry(sleep=at_once))


async def test_bytes_that_are_taken_and_lost_again_are_no_progress(source: Memory) -> None:
    class Forgetful(Memory):
        async def write(self, blob: Descriptor, source: Source) -> Outcome:
            async for chunk in source.open(blob):
                self.received += len(chunk)
            raise Unavailable("taken, and lost")

    sink = Forgetful()
    with pytest.raises(Unavailable, match="taken, and lost"):
        await copy(source, sink, "app", to="x", retry=Retry(sleep=at_once), concurrency=1)

    assert sink.received <= (Retry().tries + 1) * sum(map(len, source.blobs.values()))


async def test_a_plan_says_what_would_go_over_and_changes_nothing() -> None:
    source, sink = Memory(), Mounting()
    known, mountable = source.add(b"known"), source.add(b"mountable")
    foreign = Descriptor(DOCKER_FOREIGN_LAYER, Digest.of(b"f"), 9, urls=("https://x",))
    new, config = source.add(b"new" * 100), source.add(b"{}", "application/vnd.oci.image.config.v1+json")
    source.add_manifest(make_image(config, [known, mountable, foreign, new]), "x")
    sink.blobs[known.digest] = b"known"
    sink.neighbours[NEIGHBOUR] = Memory()
    sink.neighbours[NEIGHBOUR].blobs[mountable.digest] = b"mountable"
    plan = await plan_copy(source, sink, "x", origins=lambda _: [NEIGHBOUR])

    assert [planned.fate for planned in plan.blobs] == [
        Fate.UPLOAD, Fate.KNOWN, Fate.MOUNTABLE, Fate.SKIPPED, Fate.UPLOAD
    ]  # fmt: skip
    assert plan.blobs[2].origin == NEIGHBOUR
    assert plan.bytes == 2 + 300
    assert list(sink.blobs) == [known.digest]
    assert not sink.asked
