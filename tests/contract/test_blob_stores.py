"""What every blob store promises."""

import os
from pathlib import Path

import pytest

from dockyard.content.blobs import BlobStore, LocalBlobs
from dockyard.errors import BlobUploadUnknown, Conflict, Unavailable
from dockyard.oci.digest import Digest

CONTENT = os.urandom(2 * 1024 * 1024 + 5)
DIGEST = Digest.of(CONTENT)
ONE, TWO = "1" * 32, "2" * 32


def local_blobs(folder: Path) -> LocalBlobs:
    return LocalBlobs(folder)


@pytest.fixture(params=[local_blobs])
def blobs(request, tmp_path):
    store = request.param(tmp_path / "store")
    yield store
    store.close()


def unguarded() -> None:
    """Nobody else holds the upload."""


def overtaken() -> None:
    raise Conflict("another holds it")


async def fill(blobs: BlobStore, upload: str, content: bytes = CONTENT, *, offset: int = 0, parts: str = "") -> str:
    ingest = await blobs.resume(upload, offset, parts, unguarded)
    await ingest.write([content[offset : offset + 1000], content[offset + 1000 :]])
    parts = await ingest.sync()
    ingest.close()
    return parts


async def commit(blobs: BlobStore, upload: str, content: bytes = CONTENT, parts: str = "") -> str:
    ingest = await blobs.resume(upload, len(content), parts, unguarded)
    key = await ingest.commit(Digest.of(content))
    ingest.close()
    return key


async def add(blobs: BlobStore, upload: str, content: bytes = CONTENT) -> str:
    return await commit(blobs, upload, content, await fill(blobs, upload, content))


async def read(blobs: BlobStore, key: str, start: int = 0, end: int = len(CONTENT)) -> bytes:
    return b"".join([piece async for piece in blobs.read(key, start, end)])


async def walked(blobs: BlobStore) -> list[tuple[str, int]]:
    return [(stored.key, stored.size) async for stored in blobs.walk()]


async def pending(blobs: BlobStore) -> list[tuple[str, int]]:
    return [(stored.key, stored.size) async for stored in blobs.uploads()]


async def test_what_was_committed_can_be_read(blobs):
    key = await add(blobs, ONE)
    path = blobs.path(key)

    assert await read(blobs, key) == CONTENT
    assert await read(blobs, key, 10, 1024 * 1024 + 11) == CONTENT[10 : 1024 * 1024 + 11]
    assert await read(blobs, key, 5, 5) == b""
    assert path is None or path.read_bytes() == CONTENT
    assert await walked(blobs) == [(key, len(CONTENT))]
    assert await pending(blobs) == []


async def test_an_empty_blob_is_a_blob(blobs):
    key = await add(blobs, ONE, b"")

    assert await read(blobs, key, 0, 0) == b""
    assert await walked(blobs) == [(key, 0)]


async def test_the_same_bytes_get_another_key_each_time(blobs):
    one, two = await add(blobs, ONE), await add(blobs, TWO)
    await blobs.delete(one)

    assert one != two
    assert await walked(blobs) == [(two, len(CONTENT))]
    assert await read(blobs, two) == CONTENT


async def test_an_upload_has_no_key(blobs):
    await fill(blobs, ONE)

    assert await walked(blobs) == []
    assert await pending(blobs) == [(ONE, len(CONTENT))]


async def test_an_upload_goes_on_where_it_was_synced(blobs):
    parts = await fill(blobs, ONE, CONTENT[:1_000_000])
    parts = await fill(blobs, ONE, offset=1_000_000, parts=parts)
    ingest = await blobs.resume(ONE, len(CONTENT), parts, unguarded)
    again = b"".join([piece async for piece in ingest.reread()])
    ingest.close()

    assert again == CONTENT
    assert await read(blobs, await commit(blobs, ONE, parts=parts)) == CONTENT


async def test_what_came_after_the_offset_is_dropped(blobs):
    parts = await fill(blobs, ONE, CONTENT[:1000])
    await fill(blobs, ONE, b"?" * 5000, offset=1000, parts=parts)
    parts = await fill(blobs, ONE, offset=1000, parts=parts)

    assert await read(blobs, await commit(blobs, ONE, parts=parts)) == CONTENT


async def test_a_holder_can_go_back(blobs):
    parts = await fill(blobs, ONE, CONTENT[:1000])
    ingest = await blobs.resume(ONE, 1000, parts, unguarded)
    await ingest.write([b"?" * 5000])
    await ingest.cut(1000)
    await ingest.write([CONTENT[1000:]])
    key = await ingest.commit(DIGEST)
    ingest.close()

    assert await read(blobs, key) == CONTENT


async def test_a_holder_that_was_overtaken_changes_nothing(blobs):
    holding = True

    def guard() -> None:
        if not holding:
            overtaken()

    parts = await fill(blobs, ONE, CONTENT[:1000])
    old = await blobs.resume(ONE, 1000, parts, guard)
    holding = False
    with pytest.raises(Conflict):
        await old.write([b"?" * 5000])
    parts = await fill(blobs, ONE, offset=1000, parts=parts)
    with pytest.raises(Conflict):
        await old.write([b"?" * 5000])
    with pytest.raises(Conflict):
        await old.commit(DIGEST)
    with pytest.raises(Conflict):
        await old.cut(0)
    with pytest.raises(Conflict):
        await blobs.resume(ONE, 0, "", guard)
    old.close()

    assert await read(blobs, await commit(blobs, ONE, parts=parts)) == CONTENT


async def test_an_upload_whose_bytes_are_gone_can_not_go_on(blobs):
    with pytest.raises(BlobUploadUnknown):
        await blobs.resume(ONE, 1, "", unguarded)
    parts = await fill(blobs, ONE, CONTENT[:1000])
    await blobs.discard(ONE, parts)

    with pytest.raises(BlobUploadUnknown):
        await blobs.resume(ONE, 1000, parts, unguarded)
    assert await pending(blobs) == []


async def test_dropping_what_is_not_there_is_fine(blobs):
    key = await add(blobs, ONE)
    await blobs.delete(key)
    await blobs.delete(key)
    await blobs.discard(ONE, "")

    assert await walked(blobs) == []


async def test_reading_what_is_not_there_is_an_error_and_never_fewer_bytes(blobs):
    key = await add(blobs, ONE)
    with pytest.raises(Unavailable):
        await read(blobs, key, 0, len(CONTENT) + 1)
    await blobs.delete(key)

    with pytest.raises(Unavailable):
        await read(blobs, key)


@pytest.mark.parametrize("hostile", ["", "../hub.db", "sha256/../../hub.db", "/etc/passwd", "a\0b", "sha256"])
async def test_a_hostile_name_is_no_key_and_no_upload(blobs, hostile):
    with pytest.raises(Unavailable):
        await read(blobs, hostile)
    with pytest.raises(Unavailable):
        await blobs.delete(hostile)
    with pytest.raises(BlobUploadUnknown):
        await blobs.resume(hostile, 0, "", unguarded)
    with pytest.raises(BlobUploadUnknown):
        await blobs.discard(hostile, "")


async def test_a_store_that_can_be_written_says_so(blobs):
    await blobs.check()

    assert await pending(blobs) == await walked(blobs) == []
