"""Blobs as files: nothing is shown before it is complete, and nothing that came is asked for twice."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import as_root, must

from dockyard.content.files import BlobFiles
from dockyard.content.protocols import Outcome
from dockyard.errors import BlobUnknown, DigestInvalid, Full, SizeInvalid, TooLarge, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.media_types import OCI_LAYER

PIECE = 1 << 20


class Giver:
    """A source of one content; ``pieces`` says how it comes, ``fail`` what happens at its end."""

    def __init__(self, content: bytes, *, upto: int | None = None, fail: BaseException | None = None) -> None:
        self.content, self.upto, self.fail = content, upto, fail
        self.starts: list[int] = []

    async def manifest(self, name: object) -> Any:
        raise NotImplementedError

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        self.starts.append(start)
        end = len(self.content) if self.upto is None else self.upto
        for at in range(start, end, PIECE):
            yield self.content[at : min(at + PIECE, end)]
        if self.fail:
            raise self.fail


def blob_of(content: bytes, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(OCI_LAYER, Digest.of(content, algorithm), len(content))


@pytest.fixture
def files(tmp_path: Path) -> BlobFiles:
    return BlobFiles(tmp_path / "layout")


def left_over(files: BlobFiles) -> list[str]:
    return sorted(os.listdir(files.ingest)) if files.ingest.exists() else []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_lies_where_the_image_layout_says(files: BlobFiles, algorithm: str) -> None:
    content = os.urandom(2 * PIECE + 17)
    blob = blob_of(content, algorithm)
    outcome = await files.write(blob, Giver(content))

    assert outcome is Outcome.WRITTEN
    assert (files.root / "blobs" / algorithm / blob.digest.hex).read_bytes() == content
    assert left_over(files) == []


async def test_a_second_try_asks_only_for_the_rest(files: BlobFiles) -> None:
    content = os.urandom(5 * PIECE)
    first, second = Giver(content, upto=2 * PIECE, fail=Unavailable("cut")), Giver(content)
    with pytest.raises(Unavailable):
        await files.write(blob_of(content), first)
    hidden = not files.has(blob_of(content))
    await BlobFiles(files.root).write(blob_of(content), second)

    assert hidden
    assert (first.starts, second.starts) == ([0], [2 * PIECE])
    assert files.has(blob_of(content))


async def test_a_beginning_that_a_power_cut_damaged_is_fetched_again(files: BlobFiles) -> None:
    content = os.urandom(3 * PIECE)
    blob, source = blob_of(content), Giver(content)
    files.ingest.mkdir(parents=True)
    (files.ingest / f"sha256-{blob.digest.hex}").write_bytes(bytes(PIECE))
    await files.write(blob, source)

    assert source.starts == [PIECE, 0]
    assert files.read(blob.digest, limit=len(content)) == content


async def test_a_beginning_that_is_too_long_is_dropped(files: BlobFiles) -> None:
    blob, source = blob_of(b"short"), Giver(b"short")
    files.ingest.mkdir(parents=True)
    (files.ingest / f"sha256-{blob.digest.hex}").write_bytes(b"much too long")
    await files.write(blob, source)

    assert source.starts == [0]
    assert files.has(blob)


@pytest.mark.parametrize(
    ("sent", "error"), [(b"WRONG", DigestInvalid), (b"more than that", SizeInvalid), (b"few", SizeInvalid)]
)
async def test_wrong_bytes_leave_no_trace(files: BlobFiles, sent: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match="sha256:"):
        await files.write(blob_of(b"right"), Giver(sent))

    assert not files.has(blob_of(b"right"))
    assert left_over(files) == []


async def test_a_cancelled_write_keeps_what_came_and_closes_its_file(files: BlobFiles) -> None:
    content = os.urandom(6 * PIECE)
    stopped = asyncio.Event()

    class Stalls(Giver):
        async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
            yield content[: 2 * PIECE]
            yield content[2 * PIECE : 3 * PIECE]
            stopped.set()
            await asyncio.Event().wait()

    before = len(os.listdir("/proc/self/fd"))
    task = asyncio.create_task(files.write(blob_of(content), Stalls(content)))
    await stopped.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await files.write(blob_of(content), rest := Giver(content))

    assert rest.starts == [3 * PIECE]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_of_two_writers_one_writes_and_the_other_waits_for_it(files: BlobFiles) -> None:
    content = os.urandom(4 * PIECE)
    sources = [Giver(content) for _ in range(5)]
    outcomes = await asyncio.gather(*(BlobFiles(files.root).write(blob_of(content), source) for source in sources))

    assert sorted(outcome.value for outcome in outcomes) == ["existed"] * 4 + ["written"]
    assert sum(len(source.starts) for source in sources) == 1


async def test_a_blob_that_another_tool_cut_short_is_written_again(files: BlobFiles) -> None:
    content = os.urandom(PIECE)
    await files.write(blob_of(content), Giver(content))
    os.truncate(files.path(blob_of(content).digest), 100)
    cut = files.has(blob_of(content))
    await files.write(blob_of(content), Giver(content))

    assert not cut
    assert files.read(blob_of(content).digest, limit=PIECE) == content


async def test_reading_is_by_offset_and_says_what_is_unknown(files: BlobFiles) -> None:
    content = os.urandom(2 * PIECE + 5)
    files.put(content, Digest.of(content))
    parts = [piece async for piece in files.open(blob_of(content), PIECE - 1)]

    assert b"".join(parts) == content[PIECE - 1 :]
    assert max(map(len, parts)) == PIECE
    with pytest.raises(BlobUnknown):
        [piece async for piece in files.open(blob_of(b"not here"))]


async def test_a_reader_that_leaves_early_closes_the_file(files: BlobFiles) -> None:
    content = os.urandom(3 * PIECE)
    files.put(content, Digest.of(content))
    before = len(os.listdir("/proc/self/fd"))
    stream = files.open(blob_of(content))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_small_blob_is_checked_when_it_is_read(files: BlobFiles) -> None:
    digest = Digest.of(b"content")
    files.put(b"content", digest)
    with pytest.raises(TooLarge):
        files.read(digest, limit=3)
    files.path(digest).write_bytes(b"CONTENT")
    with pytest.raises(DigestInvalid, match="damaged"):
        files.read(digest, limit=100)

    assert files.size(digest) == 7


def test_a_link_in_the_place_of_a_blob_is_not_followed(files: BlobFiles, tmp_path: Path) -> None:
    digest = Digest.of(b"secret")
    (tmp_path / "secret").write_bytes(b"secret")
    files.path(digest).parent.mkdir(parents=True)
    files.path(digest).symlink_to(tmp_path / "secret")
    with pytest.raises(Unavailable):
        files.read(digest, limit=100)

    assert files.size(digest) != 6


def test_a_new_blob_that_is_not_committed_leaves_nothing(files: BlobFiles) -> None:
    with files.create() as new:
        new.write(b"abc")
    with files.create() as kept:
        kept.write(b"abc")
        digest = kept.commit()

    assert digest == Digest.of(b"abc")
    assert files.size(digest) == 3
    assert left_over(files) == []


async def test_memory_stays_flat_however_large_a_blob_is(files: BlobFiles) -> None:
    piece = os.urandom(PIECE)
    content_size = 64 * PIECE
    import hashlib

    whole = hashlib.sha256()
    for _ in range(64):
        whole.update(piece)

    class Long(Giver):
        async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
            for _ in range(64):
                yield piece

    blob = Descriptor(OCI_LAYER, Digest("sha256", whole.hexdigest()), content_size)
    tracemalloc.start()
    await files.write(blob, Long(b""))
    async for _ in files.open(blob):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 * PIECE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """``small_disk("8m")``: a file system of that size."""
    made: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        owner = f"uid={os.geteuid()},mode=755"
        must(*as_root("mount", "-t", "tmpfs", "-o", f"size={size},{owner}", "tmpfs", str(folder)))
        made.append(folder)
        return folder

    yield make
    for folder in made:
        must(*as_root("umount", "--lazy", str(folder)))


async def test_a_full_disk_is_said_and_the_next_try_goes_on(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("4m")
    files = BlobFiles(disk / "layout")
    content = os.urandom(6 * PIECE)
    with pytest.raises(Full, match="no space left"):
        await files.write(blob_of(content), Giver(content))
    hidden = not files.has(blob_of(content))
    must(*as_root("mount", "-o", "remount,size=16m", str(disk)))
    await files.write(blob_of(content), rest := Giver(content))

    assert hidden
    assert rest.starts[0] >= 3 * PIECE
    assert files.has(blob_of(content))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=5000), cuts=st.lists(st.integers(0, 5000), max_size=4))
def test_any_cuts_end_in_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int]
) -> None:
    files = BlobFiles(tmp_path_factory.mktemp("cuts"))

    async def go() -> None:
        for cut in cuts:
            try:
                await files.write(
                    blob_of(content), Giver(content, upto=min(cut, len(content)), fail=Unavailable("cut"))
                )
            except Unavailable:
                continue
        await files.write(blob_of(content), Giver(content))

    asyncio.run(go())

    assert files.read(blob_of(content).digest, limit=5000) == content
