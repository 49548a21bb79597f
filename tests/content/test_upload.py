"""Uploads: cut, refused, forgotten and taken up again, with the bytes counted."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, cut, cut_upload_after, error, once
from content.memory import Memory

from dockyard.content import upload
from dockyard.content.protocols import Outcome
from dockyard.content.uploads_state import UploadSessions
from dockyard.errors import BlobUnknown, DigestInvalid, Full, SizeInvalid, TooLarge, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest

Make = Callable[..., Any]
SIZE = 6_000_000


@pytest.fixture
async def remote(registry: FakeRegistry, client_of: Make) -> Any:
    return (await client_of(registry.host)).repository("team/app")


def large(source: Memory, size: int = SIZE) -> Descriptor:
    return source.add(os.urandom(size))


async def test_a_large_blob_goes_in_one_stream(registry: FakeRegistry, remote: Any) -> None:
    source = Memory()
    blob = large(source)
    outcome = await remote.write(blob, source)

    assert outcome is Outcome.WRITTEN
    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]
    assert [seen.method for seen in registry.seen if "/uploads/" in seen.path] == ["POST", "PATCH", "PUT"]
    assert "Content-Range" not in registry.asked("PATCH")[0].headers
    assert registry.received == SIZE


@pytest.mark.parametrize("size", [0, 1, 2000])
async def test_a_small_blob_goes_in_the_closing_request(registry: FakeRegistry, remote: Any, size: int) -> None:
    source = Memory()
    blob = large(source, size)
    await remote.write(blob, source)

    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]
    assert [seen.method for seen in registry.seen if "/uploads/" in seen.path] == ["POST", "PUT"]


async def test_the_digest_is_added_to_the_query_that_is_there(registry: FakeRegistry, remote: Any) -> None:
    source = Memory()
    blob = large(source, 10)
    await remote.write(blob, source)

    assert registry.asked("PUT")[0].query == {"_state": "a/b=", "digest": str(blob.digest)}


@pytest.mark.parametrize("after", [0, 1, 1_000_000, SIZE - 1, SIZE])
async def test_after_a_cut_only_the_rest_is_sent(registry: FakeRegistry, remote: Any, after: int) -> None:
    source = Memory()
    blob = large(source)
    registry.faults.append(cut_upload_after(registry, after))
    with pytest.raises(Unavailable):
        await remote.write(blob, source)
    await remote.write(blob, source)

    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]
    assert registry.received <= SIZE + 1
    assert len(registry.asked("POST")) == (1 if after > 1 else 2)  # one byte can't be told from none


CHILD = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from content.memory import Memory
from dockyard.content.http import RegistryClient
from dockyard.content.uploads_state import UploadSessions

async def main():
    source = Memory()
    blob = source.add(Path({content!r}).read_bytes())
    async with RegistryClient({host!r}, uploads=UploadSessions(Path({folder!r}))) as client:
        await client.repository("team/app").write(blob, source)

asyncio.run(main())
"""


async def test_another_process_goes_on_where_a_killed_one_stopped(
    registry: FakeRegistry, client_of: Make, tmp_path: Path
) -> None:
    import asyncio

    source = Memory()
    blob = large(source)
    (tmp_path / "content").write_bytes(source.blobs[blob.digest])
    half, kill = SIZE // 2, asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        content = registry.uploads[request.path.rpartition("/")[2]]
        while len(content) < half:
            piece = await request.content.read(min(65536, half - len(content)))
            content += piece
            request["seen"].body += len(piece)
        kill.set()
        await asyncio.sleep(60)
        return await cut(request)

    registry.faults.append(hang)
    code = CHILD.format(
        tests=str(Path(__file__).parent.parent), content=str(tmp_path / "content"), host=registry.host,
        folder=str(tmp_path / "uploads"),
    )  # fmt: skip
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await asyncio.wait_for(kill.wait(), 60)
    child.kill()
    await child.wait()
    registry.faults.clear()
    client = await client_of(registry.host, uploads=UploadSessions(tmp_path / "uploads"))
    await client.repository("team/app").write(blob, source)

    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]
    assert registry.received == SIZE
    assert not list((tmp_path / "uploads").iterdir())


async def test_an_upload_that_the_registry_forgot_starts_anew(
    registry: FakeRegistry, client_of: Make, tmp_path: Path
) -> None:
    source = Memory()
    blob = large(source)
    registry.faults.append(cut_upload_after(registry, 1_000_000))
    first = await client_of(registry.host, uploads=UploadSessions(tmp_path))
    with pytest.raises(Unavailable):
        await first.repository("team/app").write(blob, source)
    registry.uploads.clear()
    second = await client_of(registry.host, uploads=UploadSessions(tmp_path))
    await second.repository("team/app").write(blob, source)

    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]


async def test_an_upload_is_not_given_up_because_nobody_may_ask_about_it_now(
    registry: FakeRegistry, remote: Any
) -> None:
    async def busy(request: web.Request) -> web.StreamResponse | None:
        asks = request.method == "GET" and "/uploads/" in request.path
        return web.Response(status=429, headers={"Retry-After": "0"}) if asks else None

    source = Memory()
    blob = large(source)
    registry.faults += [cut_upload_after(registry, 3_000_000), once(busy)]
    await remote.client.retry(lambda: remote.write(blob, source))

    assert len(registry.asked("POST")) == 1
    assert registry.received == SIZE


async def test_a_registry_that_claims_more_bytes_than_were_sent_is_not_believed(
    registry: FakeRegistry, remote: Any
) -> None:
    async def lie(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        await request.read()
        return web.Response(status=202, headers={"Location": request.raw_path, "Range": "0-99999999"})

    source = Memory()
    registry.faults.append(once(lie))

    with pytest.raises(Unavailable, match="says that it has 100000000"):
        await remote.write(large(source), source)


async def test_a_registry_that_does_not_say_where_to_upload_is_named(registry: FakeRegistry, remote: Any) -> None:
    async def silent(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=202) if request.method == "POST" else None

    source = Memory()
    registry.faults.append(silent)

    with pytest.raises(Unavailable, match="did not say where"):
        await remote.write(large(source), source)


@pytest.mark.parametrize("size", [1000, SIZE])
async def test_after_a_lost_201_nothing_is_sent_again(registry: FakeRegistry, remote: Any, size: int) -> None:
    async def lose(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PUT":
            return None
        await registry._upload(request, request["seen"])
        return await cut(request)

    source = Memory()
    blob = large(source, size)
    registry.faults.append(once(lose))
    with pytest.raises(Unavailable):
        await remote.write(blob, source)
    outcome = await remote.write(blob, source)

    assert outcome is Outcome.WRITTEN
    assert registry.received == size


async def test_a_body_that_is_too_large_goes_in_chunks_as_small_as_needed(registry: FakeRegistry, remote: Any) -> None:
    async def limit(request: web.Request) -> web.StreamResponse | None:
        too_large = int(request.headers.get("Content-Length", 0)) > 2_000_000
        return web.Response(status=413, headers={"Connection": "close"}) if too_large else None

    source = Memory()
    first, second = large(source), large(source)
    registry.faults.append(limit)
    await remote.write(first, source)
    refused = len([seen for seen in registry.asked("PATCH") if not seen.body])
    await remote.write(second, source)

    assert registry.blobs[str(first.digest)] == source.blobs[first.digest]
    assert registry.blobs[str(second.digest)] == source.blobs[second.digest]
    assert remote.client.chunk == upload.CHUNK_SIZES[-1]
    assert len([seen for seen in registry.asked("PATCH") if not seen.body]) == refused  # learned once
    assert registry.asked("PATCH")[-1].headers["Content-Range"] == f"5242880-{SIZE - 1}"


async def test_a_body_that_is_too_large_even_in_small_chunks_is_said(registry: FakeRegistry, remote: Any) -> None:
    async def limit(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=413) if request.method == "PATCH" else None

    source = Memory()
    registry.faults.append(limit)

    with pytest.raises(TooLarge, match="too large for the registry, or for a proxy"):
        await remote.write(large(source), source)


async def test_the_registrys_smallest_chunk_is_kept_to(registry: FakeRegistry, remote: Any) -> None:
    registry.min_chunk = 17 * 1024 * 1024
    source = Memory(1 << 20)
    blob = large(source, 40_000_000)
    await remote.write(blob, source)

    assert [seen.body for seen in registry.asked("PATCH")] == [17 << 20, 17 << 20, 40_000_000 - (34 << 20)]


async def test_connections_that_are_cut_again_and_again_lead_to_chunks(registry: FakeRegistry, remote: Any) -> None:
    async def cut_large(request: web.Request) -> web.StreamResponse | None:
        if request.method == "PATCH" and int(request.headers["Content-Length"]) > 17 << 20:
            return await cut(request)
        return None

    source = Memory(1 << 20)
    blob = large(source, 20_000_000)
    registry.faults.append(cut_large)
    await remote.client.retry(lambda: remote.write(blob, source))

    assert registry.blobs[str(blob.digest)] == source.blobs[blob.digest]


async def test_bytes_that_are_not_the_digest_are_said_with_a_reason(registry: FakeRegistry, remote: Any) -> None:
    source = Memory()
    blob = large(source)
    source.blobs[blob.digest] = bytes(SIZE)

    with pytest.raises(DigestInvalid, match="digest invalid") as caught:
        await remote.write(blob, source)
    assert "damaged" in (caught.value.hint or "")
    assert not registry.blobs


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 100, 102])
async def test_a_source_with_more_or_fewer_bytes_than_it_says_is_refused(
    registry: FakeRegistry, remote: Any, size: int
) -> None:
    source = Memory()
    blob = large(source, 101 if size < 1000 else SIZE)
    source.blobs[blob.digest] = bytes(size)

    with pytest.raises(SizeInvalid):
        await remote.write(blob, source)
    assert not registry.blobs


async def test_what_is_wrong_with_the_source_is_raised_as_it_is(registry: FakeRegistry, remote: Any) -> None:
    class Broken(Memory):
        async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
            yield bytes(1000)
            raise BlobUnknown("gone")

    with pytest.raises(BlobUnknown, match="gone"):
        await remote.write(large(Memory()), Broken())


async def test_a_full_registry_is_said(registry: FakeRegistry, remote: Any) -> None:
    async def full(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        await request.content.read(100_000)
        return error(507, "NO_SPACE", "no space left", Connection="close")

    source = Memory()
    registry.faults.append(full)

    with pytest.raises(Full, match="no space left"):
        await remote.write(large(source), source)


async def test_a_registry_that_takes_nothing_any_more_counts_as_cut(
    registry: FakeRegistry, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    released = asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse | None:
        if request.method == "PATCH":
            await released.wait()
        return None

    monkeypatch.setattr(upload, "STALL", 0.2)
    registry.faults.append(stall)
    source = Memory(1 << 20)
    blob = large(source, 60_000_000)

    with pytest.raises(Unavailable, match="took nothing"):
        await remote.write(blob, source)
    released.set()


async def test_a_location_elsewhere_gets_the_bytes_and_no_credentials(registry: FakeRegistry, client_of: Make) -> None:
    from content.fake_registry import fake_registry

    from dockyard.content.credentials import FixedLogin, Login

    async with fake_registry() as storage:

        async def guard(request: web.Request) -> web.StreamResponse | None:
            if "Authorization" not in request.headers:
                return error(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": "Basic"})
            if request.method == "POST":
                storage.uploads["9"] = bytearray()
                there = f"{storage.url}/v2/x/blobs/uploads/9?_state=a%2Fb%3D"
                return web.Response(status=202, headers={"Location": there})
            return None

        registry.faults.append(guard)
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", "s3cret")))
        source = Memory()
        blob = large(source)
        await client.repository("team/app").write(blob, source)

    assert str(blob.digest) in storage.blobs
    assert not [seen for seen in storage.seen if "Authorization" in seen.headers]


async def test_a_mount_that_is_refused_leaves_an_upload_to_go_on_with(registry: FakeRegistry, remote: Any) -> None:
    source = Memory()
    blob = large(source)
    mounted = await remote.mount(blob, "other/app")
    await remote.write(blob, source)

    assert not mounted
    assert len(registry.asked("POST")) == 1
    assert str(blob.digest) in registry.blobs


async def test_a_mount_that_works_sends_nothing(registry: FakeRegistry, remote: Any) -> None:
    digest = Digest.parse(registry.put_blob(b"content"))

    assert await remote.mount(Descriptor("x", digest, 7), "other/app")
    assert registry.asked("POST")[0].query == {"mount": str(digest), "from": "other/app"}
    assert not registry.uploads


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_mount_from_where_we_may_not_read_is_only_refused(
    registry: FakeRegistry, remote: Any, status: int
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=status) if "from" in request.query else None

    registry.faults.append(refuse)

    assert not await remote.mount(Descriptor("x", Digest.of(b""), 0), "secret/app")


def test_the_sending_modules_need_no_http_library_to_be_read() -> None:
    code = "import sys, json, dockyard.content.copy; print(json.dumps('aiohttp' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert json.loads(done.stdout) is False


async def test_an_upload_that_is_cancelled_leaves_nobody_reading_the_source(
    registry: FakeRegistry, remote: Any
) -> None:
    import asyncio

    class Watched(Memory):
        reading = 0

        async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
            self.reading += 1
            try:
                async for chunk in super().open(blob, start):
                    yield chunk
            finally:
                await asyncio.sleep(0)
                self.reading -= 1

    hung, released = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse | None:
        if request.method == "PATCH":
            hung.set()
            await released.wait()
        return None

    registry.faults.append(hang)
    source = Watched(1 << 20)
    blob = large(source, 60_000_000)
    writing = asyncio.create_task(remote.write(blob, source))
    await hung.wait()
    writing.cancel()
    await asyncio.wait([writing])
    released.set()

    assert writing.cancelled()
    assert source.reading == 0
