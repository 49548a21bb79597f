"""Streams of content: closed when left, verified to the last byte, read whole where they are small."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dockyard.errors import DigestInvalid, SizeInvalid, TooLarge
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.content.protocols import Source
    from dockyard.oci.descriptor import Descriptor

MAX_CONFIG = 16 * 1024 * 1024
"""Bytes of a blob that is read whole into memory: an image's config."""


@asynccontextmanager
async def closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close a stream when its reader leaves, early or not: files and connections must not wait for the collector."""
    try:
        yield chunks
    finally:
        if close := getattr(chunks, "aclose", None):
            await close()


async def read_blob(source: Source, blob: Descriptor, *, limit: int = MAX_CONFIG) -> bytes:
    """Return a small blob whole and verified. TooLarge over ``limit`` bytes, SizeInvalid, DigestInvalid."""
    if blob.size > limit:
        raise TooLarge(f"{blob.digest} has {blob.size} bytes; at most {limit} are read into memory")
    content = bytearray()
    async with closing(source.open(blob)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > blob.size:
                raise SizeInvalid(f"{blob.digest} has more than the {blob.size} bytes stated")
    if len(content) != blob.size:
        raise SizeInvalid(f"{blob.digest} has {len(content)} bytes, not the {blob.size} stated")
    if Digest.of(bytes(content), blob.digest.algorithm) != blob.digest:
        raise DigestInvalid(f"the content is not {blob.digest}")
    return bytes(content)
