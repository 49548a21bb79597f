"""Uploads: from any process, in any pieces, resumed after anything, and never wrong bytes."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from registry.pushing import APP, OTHER, PIECE, CutOff, chunks, cut_off, push_blob, stored
from sqlalchemy import bindparam, select

from dockyard.content.blobs import LocalIngest
from dockyard.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    Conflict,
    DigestInvalid,
    RangeInvalid,
    SizeInvalid,
)
from dockyard.oci.digest import Digest, Hasher
from dockyard.registry import schema, uploads
from dockyard.registry.access import EVERYBODY
from dockyard.registry.database import LookUp

OFFSET = LookUp(select(schema.uploads.c.offset).where(schema.uploads.c.id == bindparam("a")))
CONTENT = os.urandom(3 * 1024 * 1024 + 17)
DIGEST = Digest.of(CONTENT)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def begin(registry, **options):
    return (await registry.begin_upload(EVERYBODY, APP, **options)).id


async def finish(registry, upload, content=b"", digest=DIGEST, **options):
    return await registry.finish_upload(EVERYBODY, APP, upload, digest, chunks(content), **options)


async def append(registry, upload, content, **options):
    return (await registry.append(EVERYBODY, APP, upload, chunks(content), **options)).offset


async def test_a_blob_sent_in_one_request_is_there_byte_for_byte(registry):
    blob = await finish(registry, await begin(registry), CONTENT)
    found = await registry.blob(EVERYBODY, APP, DIGEST)

    assert blob == found
    assert blob.size == len(CONTENT)
    assert blob.path.read_bytes() == await stored(registry, blob) == CONTENT


async def test_a_blob_sent_in_chunks_is_there_byte_for_byte(registry):
    upload = await begin(registry)
    offsets = [await append(registry, upload, CONTENT[start : start + 700_001], start=start, length=700_001)
               for start in range(0, 2_800_000, 700_001)]  # fmt: skip
    blob = await finish(registry, upload, CONTENT[offsets[-1] :], start=offsets[-1])

    assert offsets == [700_001, 1_400_002, 2_100_003, 2_800_004]
    assert await stored(registry, blob) == CONTENT


async def test_an_empty_blob_is_a_blob(registry):
    blob = await finish(registry, await begin(registry), b"", Digest.of(b""))

    assert blob.size == 0
    assert await stored(registry, blob) == b""


async def test_a_part_of_a_blob_can_be_read(registry):
    blob = await finish(registry, await begin(registry), CONTENT)
    part = [piece async for piece in registry.read(blob, 5, 2 * 1024 * 1024 + 6)]

    assert b"".join(part) == CONTENT[5 : 2 * 1024 * 1024 + 6]
    assert [len(piece) for piece in part] == [1024 * 1024, 1024 * 1024, 1]


async def test_wrong_bytes_leave_nothing(registry, tmp_path):
    upload = await begin(registry)
    await append(registry, upload, CONTENT)
    with pytest.raises(DigestInvalid):
        await finish(registry, upload, b"more")

    with pytest.raises(BlobUploadUnknown):
        await registry.upload(EVERYBODY, APP, upload)
    with pytest.raises(BlobUnknown):
        await registry.blob(EVERYBODY, APP, DIGEST)
    assert not files(tmp_path / "hub" / "blobs") + files(tmp_path / "hub" / "uploads")


async def test_wrong_bytes_leave_no_work_behind_on_a_slow_disk(registry, monkeypatch):
    failed, sync = [], os.fdatasync
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    monkeypatch.setattr(uploads, "CHECKPOINT", 1)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (time.sleep(0.2), sync(descriptor)))
    before = asyncio.all_tasks()
    with pytest.raises(DigestInvalid):
        await finish(registry, await begin(registry), CONTENT + b"more")

    assert asyncio.all_tasks() == before
    gc.collect()
    assert not failed


async def test_a_chunk_that_starts_elsewhere_changes_nothing(registry):
    upload = await begin(registry)
    await append(registry, upload, CONTENT[:1000])
    with pytest.raises(RangeInvalid) as early:
        await append(registry, upload, CONTENT[500:], start=500)
    with pytest.raises(RangeInvalid) as late:
        await finish(registry, upload, CONTENT[2000:], start=2000)

    assert early.value.offset == late.value.offset == 1000
    assert (await finish(registry, upload, CONTENT[1000:], start=1000)).size == len(CONTENT)


@pytest.mark.parametrize("length", [1, 500_000, len(CONTENT)])
async def test_a_chunk_of_another_length_than_announced_changes_nothing(registry, length):
    upload = await begin(registry)
    await append(registry, upload, CONTENT[:1000])
    with pytest.raises(SizeInvalid):
        await append(registry, upload, CONTENT[1000:2_000_000], length=length)

    assert (await registry.upload(EVERYBODY, APP, upload)).offset == 1000
    assert (await finish(registry, upload, CONTENT[1000:])).size == len(CONTENT)


async def test_what_came_before_the_client_was_cut_off_is_kept(registry):
    upload = await begin(registry)
    with pytest.raises(CutOff):
        await registry.append(EVERYBODY, APP, upload, cut_off(CONTENT[:2_000_000]))
    offset = (await registry.upload(EVERYBODY, APP, upload)).offset

    assert offset == 2_000_000
    assert (await finish(registry, upload, CONTENT[offset:])).size == len(CONTENT)


async def test_a_session_ends_with_its_blob(registry):
    upload = await begin(registry)
    await finish(registry, upload, CONTENT)

    with pytest.raises(BlobUploadUnknown):
        await append(registry, upload, b"more")
    with pytest.raises(BlobUploadUnknown):
        await finish(registry, upload)


async def test_a_cancelled_session_is_gone_with_its_bytes(registry, tmp_path):
    upload = await begin(registry)
    await append(registry, upload, CONTENT)
    await registry.cancel_upload(EVERYBODY, APP, upload)

    with pytest.raises(BlobUploadUnknown):
        await registry.upload(EVERYBODY, APP, upload)
    assert not files(tmp_path / "hub" / "uploads")


async def test_a_session_belongs_to_its_repository_and_its_actor(registry):
    upload = await begin(registry)

    with pytest.raises(BlobUploadUnknown):
        await registry.upload(EVERYBODY, OTHER, upload)
    with pytest.raises(BlobUploadUnknown):
        await registry.upload(replace(EVERYBODY, id=7), APP, upload)
    for hostile in ("", "../../hub.db", "0" * 32, "x" * 32, "\0"):
        with pytest.raises(BlobUploadUnknown):
            await registry.upload(EVERYBODY, APP, hostile)


async def test_any_process_goes_on_with_a_session(open_registry):
    workers = [await open_registry() for _ in range(3)]
    upload = await begin(workers[0])
    for number, start in enumerate(range(0, len(CONTENT), 500_000)):
        await append(workers[number % 3], upload, CONTENT[start : start + 500_000], start=start)
    blob = await finish(workers[1], upload)

    assert await stored(workers[2], await workers[2].blob(EVERYBODY, APP, DIGEST)) == CONTENT
    assert blob.size == len(CONTENT)


async def test_a_session_outlives_the_server(open_registry):
    first = await open_registry()
    upload = await begin(first)
    await append(first, upload, CONTENT[:1_500_000])
    await first.close()
    second = await open_registry()

    assert (await second.upload(EVERYBODY, APP, upload)).offset == 1_500_000
    assert (await finish(second, upload, CONTENT[1_500_000:])).size == len(CONTENT)


class Hanging:
    """A client that sends some bytes, then nothing, and never hangs up."""

    def __init__(self, content: bytes) -> None:
        self.content, self.sent, self.go_on = content, asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), PIECE):
            yield self.content[start : start + PIECE]
        self.sent.set()
        await self.go_on.wait()
        yield b"x" * PIECE


async def test_a_request_that_hangs_loses_the_session_to_the_next_one(open_registry):
    one, two = await open_registry(), await open_registry()
    upload = await begin(one)
    hanging = Hanging(CONTENT[:2_000_000])
    old = asyncio.create_task(one.append(EVERYBODY, APP, upload, aiter(hanging)))
    await hanging.sent.wait()
    async with asyncio.timeout(1):
        offset = (await two.upload(EVERYBODY, APP, upload)).offset
    assert await append(two, upload, CONTENT[offset : offset + 1000], start=offset) == offset + 1000
    hanging.go_on.set()
    with pytest.raises(Conflict):
        await old

    assert (await finish(two, upload, CONTENT[offset + 1000 :])).size == len(CONTENT)
    assert await stored(two, await two.blob(EVERYBODY, APP, DIGEST)) == CONTENT


async def test_what_a_hanging_client_sent_becomes_durable_while_it_hangs(open_registry, monkeypatch):
    monkeypatch.setattr(uploads, "PATIENCE", 0.01)
    one, two = await open_registry(), await open_registry()
    upload = await begin(one)
    hanging = Hanging(CONTENT[:2_000_000])
    old = asyncio.create_task(one.append(EVERYBODY, APP, upload, aiter(hanging)))
    offset = 0
    async with asyncio.timeout(30):
        while offset < 2_000_000:
            await asyncio.sleep(0.001)
            offset = (await two.database.look_up(OFFSET, upload))[0]
    old.cancel()
    with pytest.raises(asyncio.CancelledError):
        await old

    assert (await finish(two, upload, CONTENT[2_000_000:], start=2_000_000)).size == len(CONTENT)


async def test_a_long_request_makes_durable_what_it_has_now_and_then(registry, monkeypatch):
    monkeypatch.setattr(uploads, "CHECKPOINT", 1024 * 1024)
    upload = await begin(registry)
    seen = set()

    async def watched() -> AsyncIterator[bytes]:
        async for piece in chunks(CONTENT):
            yield piece
            await asyncio.sleep(0.002)
            seen.add((await registry.database.look_up(OFFSET, upload))[0])

    await registry.append(EVERYBODY, APP, upload, watched())

    assert len(seen) > 1
    assert (await finish(registry, upload)).size == len(CONTENT)


async def test_only_one_of_two_requests_at_once_wins(open_registry):
    one, two = await open_registry(), await open_registry()
    upload = await begin(one)

    async def slowly() -> AsyncIterator[bytes]:
        async for piece in chunks(CONTENT):
            await asyncio.sleep(0)
            yield piece

    results = await asyncio.gather(
        one.append(EVERYBODY, APP, upload, slowly(), start=0),
        two.append(EVERYBODY, APP, upload, slowly(), start=0),
        return_exceptions=True,
    )
    won = [result for result in results if not isinstance(result, Exception)]

    assert len(won) == 1
    assert all(isinstance(lost, Conflict | RangeInvalid) for lost in results if lost not in won)
    assert (await finish(two, upload)).size == len(CONTENT)


async def test_bytes_past_the_row_are_cut_off(registry, tmp_path):
    upload = await begin(registry)
    await append(registry, upload, CONTENT[:1000])
    with open(tmp_path / "hub" / "uploads" / upload, "ab") as file:
        file.write(b"written before a crash, after the last sync")

    assert (await finish(registry, upload, CONTENT[1000:])).size == len(CONTENT)


async def test_a_session_whose_bytes_are_gone_is_as_good_as_ended(registry, tmp_path):
    upload = await begin(registry)
    await append(registry, upload, CONTENT[:1000])
    (tmp_path / "hub" / "uploads" / upload).unlink()

    with pytest.raises(BlobUploadUnknown):
        await append(registry, upload, CONTENT[1000:])
    with pytest.raises(BlobUploadUnknown):
        await finish(registry, upload, CONTENT[1000:])


async def test_a_request_that_comes_while_another_finishes_does_not_spoil_it(open_registry, monkeypatch):
    one, two = await open_registry(), await open_registry()
    upload = await begin(one)
    await append(one, upload, CONTENT[:1000])
    renamed, go_on = asyncio.Event(), asyncio.Event()
    commit = LocalIngest.commit

    async def commit_then_wait(self, digest):
        key = await commit(self, digest)
        renamed.set()
        await go_on.wait()
        return key

    monkeypatch.setattr(LocalIngest, "commit", commit_then_wait)
    finishing = asyncio.create_task(finish(one, upload, CONTENT[1000:]))
    await renamed.wait()
    with pytest.raises(BlobUploadUnknown):
        await append(two, upload, CONTENT[1000:])
    go_on.set()

    assert (await finishing).path.read_bytes() == CONTENT
    assert await two.blob(EVERYBODY, APP, DIGEST) == await finishing


@pytest.mark.parametrize("told", [True, False], ids=["algorithm asked for", "algorithm only in the digest"])
async def test_a_client_may_name_a_blob_by_sha512(registry, told):
    upload = await begin(registry, algorithm="sha512" if told else "sha256")
    await append(registry, upload, CONTENT[:1_000_000])
    named = Digest.of(CONTENT, "sha512")
    blob = await finish(registry, upload, CONTENT[1_000_000:], named)

    assert blob.digest == named
    assert (await registry.blob(EVERYBODY, APP, named)).key == (await registry.blob(EVERYBODY, APP, DIGEST)).key


async def test_wrong_bytes_under_a_sha512_name_leave_nothing(registry):
    with pytest.raises(DigestInvalid):
        await finish(registry, await begin(registry), CONTENT, Digest.of(b"other", "sha512"))
    with pytest.raises(BlobUnknown):
        await registry.blob(EVERYBODY, APP, DIGEST)


async def test_an_unknown_algorithm_is_refused(registry):
    with pytest.raises(DigestInvalid):
        await begin(registry, algorithm="md5")


async def test_the_bytes_are_read_back_once_where_the_hash_could_not_be_saved(registry, monkeypatch):
    monkeypatch.setattr(Hasher, "save", lambda self: None)
    upload = await begin(registry)
    for start in range(0, len(CONTENT), 1_000_000):
        await append(registry, upload, CONTENT[start : start + 1_000_000])

    assert (await finish(registry, upload)).size == len(CONTENT)


async def test_who_repeats_a_finish_whose_answer_was_lost_hears_what_to_do(registry):
    upload = await begin(registry)
    blob = await finish(registry, upload, CONTENT)
    with pytest.raises(BlobUploadUnknown) as repeated:
        await finish(registry, upload, CONTENT)

    assert "HEAD" in str(repeated.value.hint)
    assert await registry.blob(EVERYBODY, APP, DIGEST) == blob
    assert await stored(registry, blob) == CONTENT


async def test_two_clients_that_push_the_same_blob_both_succeed_and_one_file_stays(open_registry, tmp_path):
    workers = [await open_registry() for _ in range(2)]
    sent = [push_blob(workers[number % 2], f"team/app{number}", CONTENT) for number in range(10)]
    blobs = await asyncio.gather(*sent)

    assert len({blob.key for blob in blobs}) == 1
    assert files(tmp_path / "hub" / "blobs") == [blobs[0].path]
    assert not files(tmp_path / "hub" / "uploads")
    assert blobs[0].path.read_bytes() == CONTENT


async def test_an_abandoned_upload_expires(open_registry, clock, tmp_path):
    registry = await open_registry(upload_expiry=3600)
    old, new = await begin(registry), await begin(registry)
    await append(registry, old, CONTENT)
    await append(registry, new, CONTENT)
    unknown = tmp_path / "hub" / "uploads" / ("0" * 32)
    unknown.write_bytes(b"left by a crash")
    os.utime(unknown, (1, 1))
    clock.passes(3000)
    await append(registry, new, b"more")
    clock.passes(1000)
    assert await registry._housekeeping.tidy()

    with pytest.raises(BlobUploadUnknown):
        await registry.upload(EVERYBODY, APP, old)
    assert files(tmp_path / "hub" / "uploads") == [tmp_path / "hub" / "uploads" / new]
    assert (await registry.upload(EVERYBODY, APP, new)).offset == len(CONTENT) + 4


async def test_an_upload_that_still_comes_does_not_expire(open_registry, clock, tmp_path):
    registry = await open_registry(upload_expiry=3600)
    upload = await begin(registry)
    await append(registry, upload, CONTENT)
    clock.passes(4000)
    os.utime(tmp_path / "hub" / "uploads" / upload, (clock(), clock()))  # as a write does
    assert await registry._housekeeping.tidy()

    assert (await registry.upload(EVERYBODY, APP, upload)).offset == len(CONTENT)


async def test_a_slow_stream_is_made_durable_now_and_then(registry, monkeypatch):
    monkeypatch.setattr(uploads, "PATIENCE", 0.01)
    monkeypatch.setattr(uploads, "LONG", 0.05)
    upload, seen = await begin(registry), asyncio.Event()

    async def trickle():
        while not seen.is_set():
            yield b"drop"
            await asyncio.sleep(0.001)

    sending = asyncio.create_task(registry.append(EVERYBODY, APP, upload, trickle()))
    async with asyncio.timeout(20):
        while not (await registry.database.look_up(OFFSET, upload))[0]:
            await asyncio.sleep(0.01)
    seen.set()

    assert (await sending).offset % 4 == 0
