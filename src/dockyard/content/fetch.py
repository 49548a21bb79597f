"""Reading a blob over HTTP: from any offset, and in parallel ranges where one stream is slow.

Source: OCI distribution specification 1.1, section "Pulling blobs"; RFC 9110, section 14, for ranges.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from dockyard.content import auth
from dockyard.content.failures import failure
from dockyard.content.protocols import CHUNK
from dockyard.content.streams import closing
from dockyard.errors import (
    BlobUnknown,
    Denied,
    DockyardError,
    NotFound,
    SizeInvalid,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    import aiohttp

    from dockyard.content.http import RegistryClient
    from dockyard.content.remote import Remote
    from dockyard.oci.descriptor import Descriptor

PART = 8 * 1024 * 1024
"""Bytes of one of several ranges fetched at once."""
PARALLEL = 4
"""Ranges fetched at once; with PART this bounds the memory of a blob on its way: 32 MiB."""
WORTH_SPLITTING = 64 * 1024 * 1024
"""Bytes that must still come before further connections are worth their set-up."""
SAMPLE = 4 * 1024 * 1024
"""Bytes of the first stream by which its speed is judged."""
SLOW = 40 * 1024 * 1024
"""Bytes a second under which one stream is likely held back by its own window or by the server's shaping."""
PATIENCE = 0.25
"""Seconds after which a piece is passed on although it is small, for progress on slow lines."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)


def spans(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Split the half-open range ``start``..``end`` into ranges of ``size``, the last one as long as what is left."""
    for first in range(start, end, size):
        yield first, min(first + size, end)


async def fetch(
    remote: Remote, blob: Descriptor, start: int, *, clock: Callable[[], float] = time.perf_counter
) -> AsyncIterator[bytes]:
    """Yield a blob's bytes from ``start``; Unavailable where they end too soon, SizeInvalid where there are others.

    The first stream shows how fast one connection is. Where that is slow and much is still to come, it is cut off
    at a boundary from where parallel ranges go on.
    """
    where = f"{remote.name}@{blob.digest}"
    position, waited, judged = start, 0.0, False
    async with AsyncExitStack() as stack:
        response = await stack.enter_async_context(_request(remote, blob, start, blob.size))
        chunks = await stack.enter_async_context(closing(_body(response, blob, start, blob.size, where)))
        ahead: _Ahead | None = None
        while True:
            before = clock()
            chunk = await anext(chunks, b"")
            waited += clock() - before  # the network's time only: a slow disk must not open connections
            if ahead and position + len(chunk) >= ahead.start:
                if await ahead.works():
                    yield chunk[: ahead.start - position]
                    response.close()
                    async for part in ahead.parts():
                        yield part
                    return
                ahead = None
            if not chunk:
                return
            position += len(chunk)
            yield chunk
            if not judged and position - start >= SAMPLE:
                judged = True
                if blob.size - position - PART >= WORTH_SPLITTING and (position - start) / max(waited, 1e-6) < SLOW:
                    ahead = _Ahead(remote, blob, position + PART, where)
                    stack.push_async_callback(ahead.close)


async def fetch_foreign(client: RegistryClient, blob: Descriptor, start: int) -> AsyncIterator[bytes]:
    """Yield a foreign layer's bytes from the first of its URLs that has it. No credentials go there.

    Source: OCI image specification, ``layer.md``, section "Non-Distributable Layers".
    """
    problem: DockyardError = BlobUnknown(f"{blob.digest}: neither the registry nor its urls have this layer")
    for url in blob.urls:
        try:
            async with client.request(
                "GET", url, None, expect={200, 206}, where=url[:200], headers=_range(start, blob.size)
            ) as response:
                async with closing(_body(response, blob, start, blob.size, url[:200])) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
        except Unavailable as error:
            problem = error
        except (NotFound, Denied, Unauthenticated):
            continue
    raise problem


async def read_all(response: aiohttp.ClientResponse, limit: int, where: str) -> bytes:
    """Read a body whole; TooLarge as soon as it has more than ``limit`` bytes."""
    pieces: list[bytes] = []
    length = 0
    with failure(where=where):
        async for piece in response.content.iter_any():
            length += len(piece)
            if length > limit:
                response.close()
                raise TooLarge(f"{where}: the answer has more than {limit} bytes")
            pieces.append(piece)
    return b"".join(pieces)


class _Ahead:
    """Ranges that are fetched while what comes before them is still read, and handed out in order."""

    def __init__(self, remote: Remote, blob: Descriptor, start: int, where: str) -> None:
        self.start = start
        self._remote, self._blob, self._where = remote, blob, where
        self._left = spans(start, blob.size, PART)
        self._tasks: deque[asyncio.Task[bytes | None]] = deque()
        self._fill()

    async def works(self) -> bool:
        """Whether the server sends ranges at all: it may answer with the whole."""
        if await asyncio.shield(self._tasks[0]) is not None:
            return True
        await self.close()
        return False

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the ranges in order."""
        while self._tasks:
            part = await self._tasks[0]
            self._tasks.popleft()
            if part is None:
                raise Unavailable(f"{self._where}: the registry sent ranges, and then no more")
            self._fill()
            yield part

    async def close(self) -> None:
        """End what is still under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _fill(self) -> None:
        while len(self._tasks) < PARALLEL and (span := next(self._left, None)):
            self._tasks.append(asyncio.create_task(self._part(*span)))

    async def _part(self, start: int, end: int) -> bytes | None:
        async with _request(self._remote, self._blob, start, end) as response:
            if response.status != 206:
                response.close()
                return None
            async with closing(_body(response, self._blob, start, end, self._where)) as chunks:
                return b"".join([chunk async for chunk in chunks])


def _request(
    remote: Remote, blob: Descriptor, start: int, end: int
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return remote.client.request(
        "GET", f"{remote.path}/blobs/{blob.digest}", auth.pull(remote.repository), expect={200, 206},
        where=f"{remote.name}@{blob.digest}", missing=BlobUnknown, headers=_range(start, end, blob.size),
    )  # fmt: skip


def _range(start: int, end: int, size: int | None = None) -> dict[str, str]:
    whole = start == 0 and end == (end if size is None else size)
    return {} if whole else {"Range": f"bytes={start}-{end - 1}"}


async def _body(
    response: aiohttp.ClientResponse, blob: Descriptor, start: int, end: int, where: str
) -> AsyncIterator[bytes]:
    """Yield the bytes ``start``..``end`` from an answer that may be the whole blob, in pieces of about CHUNK."""
    skip = start
    if response.status == 206:
        got = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not got or int(got[1]) != start:
            raise Unavailable(f"{where}: asked for bytes from {start}, the registry sent another range")
        total, skip = got[3], 0
    else:
        total = response.headers.get("Content-Length", "*")
    if total.isdecimal() and int(total) != blob.size:
        raise SizeInvalid(f"{where}: the manifest says {blob.size} bytes, the registry has {total}")
    left = end - start
    async with closing(_gathered(response, where)) as pieces:
        async for piece in pieces:
            if skip:
                piece, skip = piece[skip:], max(0, skip - len(piece))
            if len(piece) > left:
                raise SizeInvalid(f"{where}: the registry sends more than the {blob.size} bytes of the manifest")
            left -= len(piece)
            if piece:
                yield piece
    if left:
        raise Unavailable(f"{where}: the connection was cut {left} bytes before the end")


async def _gathered(response: aiohttp.ClientResponse, where: str) -> AsyncIterator[bytes]:
    """Join what arrives to about CHUNK bytes: each piece costs its receiver a hop to a thread."""
    pieces: list[bytes] = []
    length, since = 0, time.monotonic()
    cut: Unavailable | None = None
    while True:
        piece = b""
        try:
            with failure(where=where):
                piece = await response.content.readany()
        except Unavailable as error:
            cut = error  # raised once what came before it is passed on: it need not come again
        pieces.append(piece)
        length += len(piece)
        if not piece or length >= CHUNK or time.monotonic() - since > PATIENCE:
            if length:
                yield pieces[0] if length == len(pieces[0]) else b"".join(pieces)
            if cut:
                raise cut
            if not piece:
                return
            pieces, length, since = [], 0, time.monotonic()
