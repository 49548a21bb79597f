import pytest
from content.memory import Memory

from dockyard.content.streams import closing, read_blob
from dockyard.errors import DigestInvalid, SizeInvalid, TooLarge
from dockyard.oci.descriptor import Descriptor


async def test_a_small_blob_is_read_whole_and_checked() -> None:
    source = Memory(3)

    assert await read_blob(source, source.add(b"content")) == b"content"
    assert await read_blob(source, source.add(b"")) == b""


@pytest.mark.parametrize("content", [b"conten", b"content!", b""])
async def test_another_length_than_stated_is_refused(content: bytes) -> None:
    source = Memory(3)
    blob = source.add(b"content")
    source.blobs[blob.digest] = content

    with pytest.raises(SizeInvalid):
        await read_blob(source, blob)


async def test_other_bytes_than_stated_are_refused() -> None:
    source = Memory()
    blob = source.add(b"content")
    source.blobs[blob.digest] = b"tnetnoc"

    with pytest.raises(DigestInvalid):
        await read_blob(source, blob)


async def test_what_is_too_large_for_memory_is_not_begun() -> None:
    source = Memory()
    blob = source.add(b"content")

    with pytest.raises(TooLarge):
        await read_blob(source, Descriptor(blob.media_type, blob.digest, 1 << 40))
    with pytest.raises(TooLarge):
        await read_blob(source, blob, limit=6)
    assert not source.opened


async def test_a_stream_is_closed_when_its_reader_leaves() -> None:
    closed = []

    async def stream():  # type: ignore[no-untyped-def]
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(True)

    async with closing(stream()) as chunks:
        async for _ in chunks:
            break

    assert closed == [True]
