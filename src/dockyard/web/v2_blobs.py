"""Blobs, whole and in ranges.

Source: OCI distribution specification, sections "Pulling blobs", "Deleting Blobs"; RFC 9110, section 14.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from dockyard.errors import OutOfRange, Unavailable
from dockyard.oci.digest import Digest
from dockyard.web.messages import Response
from dockyard.web.ranges import content_range, etag_known, if_range_holds, parse_range
from dockyard.web.refusals import refuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dockyard.registry.content import Blob, Registry
    from dockyard.web.messages import Request

OCTETS = (b"content-type", b"application/octet-stream")
# Whoever can push can choose these bytes: no browser may take them for a page of ours.
INERT = (b"content-security-policy", b"sandbox")
RANGES = (b"accept-ranges", b"bytes")


async def get_blob(registry: Registry, request: Request) -> Response:
    """``GET`` and ``HEAD``: the whole blob as a file to send, or the ranges that were asked for."""
    digest = Digest.parse(request.route.rest)
    blob = await registry.blob(request.actor, request.route.repository, digest)
    etag = f'"{digest}"'
    headers = [(b"docker-content-digest", str(digest).encode()), (b"etag", etag.encode()), RANGES, INERT]
    if (known := request.header(b"if-none-match")) and etag_known(known, etag):
        return Response(304, headers)
    asked = request.header(b"range")
    try:
        counts = asked is not None and request.method == "GET" and if_range_holds(request.header(b"if-range"), etag)
        ranges = parse_range(asked or "", blob.size) if counts else None
    except OutOfRange as error:
        response = refuse(error)
        response.headers += [*headers, (b"content-range", b"bytes */%d" % blob.size)]
        return response
    return _whole(registry, blob, headers) if ranges is None else _parts(registry, blob, headers, ranges)


async def delete_blob(registry: Registry, request: Request) -> Response:
    """``DELETE``: the repository no longer has the blob."""
    await registry.delete_blob(request.actor, request.route.repository, Digest.parse(request.route.rest))
    return Response(202)


def _whole(registry: Registry, blob: Blob, headers: list[tuple[bytes, bytes]]) -> Response:
    if blob.path is None:
        return Response(200, [*headers, OCTETS], registry.read(blob, 0, blob.size), blob.size)
    return Response(200, [*headers, OCTETS], _intact(blob.path, blob), blob.size)


def _intact(path: Path, blob: Blob) -> Path:
    """The file to send; the server that sends it would say 404 for one that is lost, and cut a longer one short."""
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise Unavailable(f"the file of blob {blob.digest} can't be read: {error.strerror}") from error
    if size != blob.size:
        raise Unavailable(f"the file of blob {blob.digest} has {size} bytes instead of {blob.size}")
    return path


def _parts(
    registry: Registry, blob: Blob, headers: list[tuple[bytes, bytes]], ranges: list[tuple[int, int]]
) -> Response:
    if len(ranges) == 1:
        start, end = ranges[0]
        headers += [OCTETS, (b"content-range", content_range(start, end, blob.size).encode())]
        return Response(206, headers, registry.read(blob, start, end), end - start)
    boundary = secrets.token_hex(16)
    heads = [_head(boundary, start, end, blob.size) for start, end in ranges]
    tail = f"\r\n--{boundary}--\r\n".encode()
    size = sum(map(len, heads)) + sum(end - start for start, end in ranges) + len(tail)
    headers.append((b"content-type", f"multipart/byteranges; boundary={boundary}".encode()))
    return Response(206, headers, _multipart(registry, blob, ranges, heads, tail), size)


def _head(boundary: str, start: int, end: int, size: int) -> bytes:
    fields = f"Content-Type: application/octet-stream\r\nContent-Range: {content_range(start, end, size)}"
    return f"\r\n--{boundary}\r\n{fields}\r\n\r\n".encode()


async def _multipart(
    registry: Registry, blob: Blob, ranges: list[tuple[int, int]], heads: list[bytes], tail: bytes
) -> AsyncIterator[bytes]:
    for head, (start, end) in zip(heads, ranges, strict=True):
        yield head
        async for piece in registry.read(blob, start, end):
            yield piece
    yield tail
