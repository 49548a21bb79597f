"""Downloads: from any offset, cut and taken up again, in one stream and in parallel ranges."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, cut_download_after, serving
from content.memory import Memory
from hypothesis import given
from hypothesis import strategies as st

from dockyard.content import fetch
from dockyard.content.copy import copy
from dockyard.content.fetch import spans
from dockyard.errors import BlobUnknown, SizeInvalid, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.media_types import DOCKER_FOREIGN_LAYER, OCI_LAYER_GZIP

Make = Callable[..., Any]


@pytest.fixture
async def remote(registry: FakeRegistry, client_of: Make) -> Any:
    return (await client_of(registry.host)).repository("team/app")


def blob_in(registry: FakeRegistry, content: bytes, size: int | None = None) -> Descriptor:
    digest = Digest.parse(registry.put_blob(content))
    return Descriptor(OCI_LAYER_GZIP, digest, len(content) if size is None else size)


async def read(remote: Any, blob: Descriptor, start: int = 0) -> bytes:
    return b"".join([chunk async for chunk in remote.open(blob, start)])


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 40))
def test_spans_cover_a_range_in_order_without_gaps(start: int, length: int, size: int) -> None:
    pieces = list(spans(start, start + length, size))

    assert [offset for first, end in pieces for offset in range(first, end)] == list(range(start, start + length))
    assert all(end - first == size for first, end in pieces[:-1])


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole"])
@pytest.mark.parametrize("start", [0, 1, 70_000, 299_999, 300_000])
async def test_a_blob_is_read_from_any_offset_whether_the_registry_knows_ranges_or_not(
    registry: FakeRegistry, remote: Any, start: int, ranges: bool
) -> None:
    content = os.urandom(300_000)
    registry.ranges = ranges

    assert await read(remote, blob_in(registry, content), start) == content[start:]


async def test_an_empty_blob_needs_no_request(registry: FakeRegistry, remote: Any) -> None:
    assert await read(remote, blob_in(registry, b"")) == b""
    assert not registry.seen


async def test_a_cut_download_is_an_error_that_is_worth_trying_again(registry: FakeRegistry, remote: Any) -> None:
    blob = blob_in(registry, os.urandom(300_000))
    registry.faults.append(cut_download_after(registry, 100_000))

    with pytest.raises(Unavailable, match="cut"):
        await read(remote, blob)


async def test_a_cut_download_goes_on_by_range_from_where_it_was(registry: FakeRegistry, remote: Any) -> None:
    source = Memory()
    image = source.add_image(os.urandom(900_000), name="x")
    registry.blobs = {str(digest): content for digest, content in source.blobs.items()}
    raw = source.manifests[image.digest].raw
    registry.manifests["v1"] = raw, image.media_type
    registry.faults.append(cut_download_after(registry, 500_000))
    sink = Memory()
    copied = await copy(remote, sink, "v1", to="x", retry=remote.client.retry)

    assert sink.blobs == source.blobs
    asked = [seen.headers["Range"] for seen in registry.seen if "Range" in seen.headers]
    assert len(asked) == 1
    assert 0 < int(asked[0].removeprefix("bytes=").partition("-")[0]) <= 500_000
    assert copied.sent == sum(map(len, source.blobs.values()))


async def test_a_blob_that_is_not_there_is_unknown(remote: Any) -> None:
    with pytest.raises(BlobUnknown, match="blob unknown"):
        await read(remote, Descriptor(OCI_LAYER_GZIP, Digest.of(b"no"), 2))


@pytest.mark.parametrize("size", [5, 7])
async def test_a_size_that_is_not_the_manifests_is_noticed(registry: FakeRegistry, remote: Any, size: int) -> None:
    blob = blob_in(registry, b"123456", size)

    with pytest.raises(SizeInvalid, match=f"says {size} bytes, the registry has 6"):
        await read(remote, blob)


async def test_an_endless_answer_is_left_as_soon_as_it_is_too_long(registry: FakeRegistry, remote: Any) -> None:
    async def endless(request: web.Request) -> web.StreamResponse | None:
        if "/blobs/" not in request.path:
            return None
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        with pytest.raises(ConnectionError):
            while True:
                await response.write(bytes(65536))
        return response

    registry.faults.append(endless)

    with pytest.raises(SizeInvalid, match="more than"):
        await read(remote, blob_in(registry, b"123456"))


async def test_another_range_than_the_one_asked_for_is_refused(registry: FakeRegistry, remote: Any) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        if "Range" not in request.headers:
            return None
        return web.Response(status=206, body=b"3456", headers={"Content-Range": "bytes 2-5/6"})

    registry.faults.append(fault)

    with pytest.raises(Unavailable, match="another range"):
        await read(remote, blob_in(registry, b"123456"), 1)


@pytest.fixture
def slow_lines(monkeypatch: pytest.MonkeyPatch, registry: FakeRegistry) -> None:
    """Small parts, and connections that each give no more than 4 MB a second."""
    monkeypatch.setattr(fetch, "PART", 100_000)
    monkeypatch.setattr(fetch, "CHUNK", 50_000)
    monkeypatch.setattr(fetch, "SAMPLE", 50_000)
    monkeypatch.setattr(fetch, "WORTH_SPLITTING", 300_000)

    async def slow(request: web.Request) -> web.StreamResponse | None:
        if request.method != "GET" or "/blobs/" not in request.path:
            return None
        content = registry.blobs[request.path.rpartition("/")[2]]
        wanted = request.headers.get("Range") if registry.ranges else None
        first, last = (wanted or f"bytes=0-{len(content) - 1}").removeprefix("bytes=").split("-")
        piece = content[int(first) : int(last) + 1]
        headers = {"Content-Length": str(len(piece))}
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
        await response.prepare(request)
        for at in range(0, len(piece), 40_000):
            await response.write(piece[at : at + 40_000])
            await asyncio.sleep(0.01)
        return response

    registry.faults.append(slow)


@pytest.mark.usefixtures("slow_lines")
@pytest.mark.parametrize("start", [0, 123_456])
async def test_a_large_blob_over_slow_connections_comes_in_parallel_ranges_in_order(
    registry: FakeRegistry, remote: Any, start: int
) -> None:
    content = os.urandom(1_500_000)
    got = await read(remote, blob_in(registry, content), start)

    assert got == content[start:]
    assert len([seen for seen in registry.seen if "Range" in seen.headers]) > 8


@pytest.mark.usefixtures("slow_lines")
async def test_a_registry_without_ranges_is_read_in_one_stream_however_slow(
    registry: FakeRegistry, remote: Any
) -> None:
    registry.ranges = False
    content = os.urandom(1_500_000)

    assert await read(remote, blob_in(registry, content)) == content


@pytest.mark.usefixtures("slow_lines")
async def test_a_reader_that_leaves_ends_every_connection(registry: FakeRegistry, remote: Any) -> None:
    blob = blob_in(registry, os.urandom(1_500_000))
    chunks = remote.open(blob)
    got = 0
    async for chunk in chunks:
        got += len(chunk)
        if got > 400_000:
            break
    await chunks.aclose()

    assert not [task for task in asyncio.all_tasks() if "_Ahead" in repr(task.get_coro())]


async def test_a_fast_connection_stays_the_only_one(registry: FakeRegistry, remote: Any) -> None:
    await read(remote, blob_in(registry, bytes(80 * 1024 * 1024)))

    assert len(registry.asked("GET", "/blobs/")) == 1


async def test_a_foreign_layer_comes_from_its_own_address_without_credentials(
    registry: FakeRegistry, client_of: Make
) -> None:
    from dockyard.content.credentials import FixedLogin, Login

    content, reached = os.urandom(1000), []

    async def website(request: web.Request) -> web.StreamResponse:
        reached.append(dict(request.headers))
        return web.Response(body=content)

    async with serving(website) as url:
        blob = Descriptor(DOCKER_FOREIGN_LAYER, Digest.of(content), 1000, urls=("http://127.0.0.1:1/x", f"{url}/layer"))
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", "x")))
        got = await read(client.repository("a"), blob)

    assert got == content
    assert "Authorization" not in reached[0]
    assert registry.asked("GET", "/blobs/")


async def test_a_foreign_layer_that_nobody_has_is_unknown(registry: FakeRegistry, remote: Any) -> None:
    blob = Descriptor(DOCKER_FOREIGN_LAYER, Digest.of(b"x"), 1, urls=(f"{registry.url}/nothing",))

    with pytest.raises(BlobUnknown):
        await read(remote, blob)
