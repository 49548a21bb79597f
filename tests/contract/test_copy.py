"""What every place of images promises, as a source and as a sink: each is tried against each."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from content.memory import Memory

from dockyard.content.copy import copy
from dockyard.content.http import RegistryClient
from dockyard.content.layout import Layout
from dockyard.content.retry import Retry
from dockyard.content.streams import read_blob
from dockyard.errors import BlobUnknown, DigestInvalid, ManifestUnknown, SizeInvalid, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.media_types import OCI_LAYER_GZIP
from dockyard.oci.platform import Platform
from dockyard.oci.reference import RepositoryName

Place = Any
Open = Callable[[str], Awaitable[Place]]
KINDS = ["memory", "layout", "docker-registry", "hub"]
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
_count = itertools.count()


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """``await place("layout")``: a new, empty place of that kind."""
    async with AsyncExitStack() as stack:

        async def make(kind: str) -> Place:
            number = next(_count)
            if kind == "memory":
                return Memory()
            if kind == "layout":
                return Layout(tmp_path / f"layout{number}")
            server = request.getfixturevalue({"docker-registry": "docker_registry", "hub": "hub"}[kind])
            client = await stack.enter_async_context(RegistryClient(server.host))
            return client.repository(RepositoryName(f"contract/copy{os.getpid()}-{number}"))

        yield make


async def at_once(_: float) -> None:
    """Wait for no time at all."""


def pictures() -> Memory:
    """``both`` for two platforms that share a layer of 3 MB, ``one`` for one, ``empty`` with an empty layer."""
    memory = Memory()
    shared = os.urandom(3_000_000)
    amd64 = memory.add_image(shared, b"amd64" * 300, platform=AMD64, name="one")
    arm64 = memory.add_image(shared, b"arm64" * 300, platform=ARM64)
    memory.add_index(amd64, arm64, name="both")
    memory.add_image(b"", name="empty")
    return memory


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("frm", KINDS)
async def test_an_index_goes_from_everywhere_to_everywhere_and_only_once(place: Open, frm: str, to: str) -> None:
    original, source, sink, back = pictures(), await place(frm), await place(to), Memory()
    await copy(original, source, "both", to="v1")
    first = await copy(source, sink, "v1", to="v2")
    second = await copy(source, sink, "v1", to="v2")
    await copy(sink, back, "v2", to="both")

    assert back.names["both"] == original.names["both"]
    assert all(original.blobs[digest] == content for digest, content in back.blobs.items())
    assert back.manifests.items() <= original.manifests.items()
    assert (first.written, second.written, second.sent) == (5, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_platform_comes_out_alone(place: Open, kind: str) -> None:
    original, source, sink = pictures(), await place(kind), Memory()
    await copy(original, source, "both", to="v1")
    copied = await copy(source, sink, "v1", to="x", platform=ARM64)

    assert copied.root.digest == original.names["both"]
    assert list(sink.manifests) == [copied.manifest.digest]
    assert copied.manifest.digest == original.manifests[original.names["both"]].manifests[1].digest


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_layer_is_a_layer(place: Open, kind: str) -> None:
    original, between, sink = pictures(), await place(kind), Memory()
    await copy(original, between, "empty", to="v1")
    await copy(between, sink, "v1", to="empty")

    assert Digest.of(b"") in sink.blobs


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_can_be_moved(place: Open, kind: str) -> None:
    original, sink = pictures(), await place(kind)
    await copy(original, sink, "one", to="v1")
    await copy(original, sink, "empty", to="v1")

    assert (await sink.manifest("v1")).digest == original.names["empty"]
    assert (await sink.manifest(original.names["one"])).digest == original.names["one"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_there_is_said(place: Open, kind: str) -> None:
    original, source = pictures(), await place(kind)
    await copy(original, source, "one", to="v1")
    absent = Descriptor(OCI_LAYER_GZIP, Digest.of(b"absent"), 6)

    assert not await source.has(absent)
    with pytest.raises(ManifestUnknown):
        await source.manifest("v9")
    with pytest.raises(ManifestUnknown):
        await source.manifest(absent.digest)
    with pytest.raises(BlobUnknown):
        await read_blob(source, absent)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, 1, 1_048_576, 2_999_999])
async def test_a_blob_is_read_from_any_offset(place: Open, kind: str, start: int) -> None:
    original, source = pictures(), await place(kind)
    await copy(original, source, "one", to="v1")
    layer = (await source.manifest("v1")).layers[0]
    got = b"".join([chunk async for chunk in source.open(layer, start)])

    assert got == original.blobs[layer.digest][start:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [20, 3_000_000])
async def test_bytes_that_are_not_the_digest_leave_nothing(place: Open, kind: str, size: int) -> None:
    source, sink = Memory(), await place(kind)
    blob = source.add(os.urandom(size))
    source.blobs[blob.digest] = bytes(size)

    with pytest.raises(DigestInvalid):
        await sink.write(blob, source)
    assert not await sink.has(blob)


@pytest.mark.parametrize("kind", ["layout", "docker-registry", "hub"])
@pytest.mark.parametrize("difference", [-1, 1])
async def test_more_or_fewer_bytes_than_stated_leave_nothing(place: Open, kind: str, difference: int) -> None:
    source, sink = Memory(), await place(kind)
    blob = source.add(os.urandom(3_000_000))
    stated = Descriptor(blob.media_type, blob.digest, blob.size + difference)

    with pytest.raises((SizeInvalid, DigestInvalid)):
        await sink.write(stated, source)
    assert not await sink.has(blob)


class Cutting(Memory):
    """A source that breaks off once, after ``after`` bytes."""

    after = 0

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        self.opened.append((blob.digest, start))
        content, cut = self.blobs[blob.digest], len(self.opened) == 1
        for at in range(start, len(content), self.piece):
            if cut and at >= self.after:
                await asyncio.sleep(0.05)  # let what was read get over before the connection breaks
                raise Unavailable("cut")
            yield content[at : at + self.piece]


@pytest.mark.parametrize("kind", ["memory", "layout", "hub"])
async def test_a_source_that_breaks_off_is_opened_again_at_the_offset_that_is_needed(place: Open, kind: str) -> None:
    source, sink = Cutting(), await place(kind)
    source.after = 2_000_000
    blob = source.add(os.urandom(3_000_000))
    await Retry()(lambda: sink.write(blob, source))  # with its real wait: a registry notices a cut a moment later

    assert await read_blob(sink, blob) == source.blobs[blob.digest]
    assert source.opened[0][1] == 0
    assert 1_500_000 < source.opened[1][1] <= 2_100_000
    assert len(source.opened) == 2


async def test_debians_registry_gets_a_blob_whole_after_a_cut_though_it_can_not_go_on(place: Open) -> None:
    source, sink = Cutting(), await place("docker-registry")
    source.after = 2_000_000
    blob = source.add(os.urandom(3_000_000))
    await Retry(sleep=at_once)(lambda: sink.write(blob, source))

    assert await read_blob(sink, blob) == source.blobs[blob.digest]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_image_copied_by_many_at_once_is_there_once_and_whole(place: Open, kind: str) -> None:
    original, sink, back = pictures(), await place(kind), Memory()
    await asyncio.gather(*(copy(original, sink, "both", to=f"v{number}") for number in range(6)))
    for number in range(6):
        await copy(sink, back, f"v{number}", to=f"v{number}")

    assert set(back.names.values()) == {original.names["both"]}


@pytest.mark.parametrize("kind", ["docker-registry", "hub"])
async def test_a_layer_is_mounted_from_the_repository_that_has_it(place: Open, kind: str) -> None:
    original, neighbour, sink = pictures(), await place(kind), await place(kind)
    await copy(original, neighbour, "both", to="v1")
    copied = await copy(original, sink, "both", to="v1", origins=lambda _: [neighbour.repository])

    assert (copied.mounted, copied.sent) == (5, 0)
    assert (await sink.manifest("v1")).digest == original.names["both"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_blob_may_be_named_by_sha512(place: Open, kind: str) -> None:
    source, sink = Memory(), await place(kind)
    content = os.urandom(3_000_000)
    blob = Descriptor(OCI_LAYER_GZIP, Digest.of(content, "sha512"), len(content))
    source.blobs[blob.digest] = content
    await sink.write(blob, source)

    assert await sink.has(blob)
    assert await read_blob(sink, blob) == content
