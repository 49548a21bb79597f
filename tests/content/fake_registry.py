"""A real little registry on aiohttp whose faults tests choose: it redirects, cuts, limits, forgets and lies.

It serves over TCP, on loopback, in the test's own event loop. ``faults`` see each request before it is answered and
may answer instead; ``seen`` has every request in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class Seen:
    """One request as it came, and the bytes of its body that were taken."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: int = 0


@dataclass
class FakeRegistry:
    """What it has, what it was asked, and how it misbehaves."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    ranges: bool = True
    min_chunk: int = 0

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    def asked(self, method: str, part: str = "") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and part in seen.path]

    @property
    def received(self) -> int:
        """Bytes of upload bodies taken so far."""
        return sum(seen.body for seen in self.seen if "/uploads/" in seen.path)

    def put_blob(self, content: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest

    async def handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query), dict(request.headers))
        self.seen.append(seen)
        request["seen"] = seen
        for fault in list(self.faults):
            if (answer := await fault(request)) is not None:
                return answer
        path = request.path
        if path == "/v2/":
            return web.Response()
        if "/blobs/uploads/" in path:
            return await self._upload(request, seen)
        _, _, digest = path.rpartition("/")
        if "/manifests/" in path:
            return await self._manifest(request, digest)
        if "/blobs/" in path:
            return self._blob(request, digest)
        return error(404, "NAME_UNKNOWN", "repository name not known to registry")

    def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        if digest not in self.blobs:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        content = self.blobs[digest]
        headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
        wanted = request.headers.get("Range")
        if not wanted or not self.ranges:
            return web.Response(body=content, headers=headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content) - 1), len(content) - 1) + 1
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:end], headers=headers)

    async def _manifest(self, request: web.Request, name: str) -> web.StreamResponse:
        if request.method == "PUT":
            raw = await request.read()
            digest = "sha256:" + hashlib.sha256(raw).hexdigest()
            self.manifests[name] = self.manifests[digest] = raw, request.headers["Content-Type"]
            return web.Response(status=201, headers={"Docker-Content-Digest": digest})
        if name not in self.manifests:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        raw, media_type = self.manifests[name]
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        return web.Response(body=raw, headers={"Docker-Content-Digest": digest, "Content-Type": media_type})

    async def _upload(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        base, _, name = request.path.rpartition("/")
        if request.method == "POST":
            if request.query.get("mount") in self.blobs and "from" in request.query:
                return web.Response(status=201, headers={"Location": base})
            name = str(len(self.uploads))
            self.uploads[name] = bytearray()
            headers = {"Location": f"{base}/{name}?_state=a%2Fb%3D"}
            if self.min_chunk:
                headers["OCI-Chunk-Min-Length"] = str(self.min_chunk)
            return web.Response(status=202, headers=headers)
        if name not in self.uploads or request.rel_url.raw_query_string.partition("&")[0] != "_state=a%2Fb%3D":
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        content = self.uploads[name]
        if request.method in {"PATCH", "PUT"}:
            span = request.headers.get("Content-Range")
            if span and int(span.partition("-")[0]) != len(content):
                return web.Response(status=416, headers=self._where(request, content))
            async for piece in request.content.iter_any():
                content += piece
                seen.body += len(piece)
        if request.method == "PUT":
            digest = request.query["digest"]
            if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
                return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            self.blobs[digest] = bytes(self.uploads.pop(name))
            return web.Response(status=201, headers={"Docker-Content-Digest": digest})
        status = 204 if request.method == "GET" else 202
        return web.Response(status=status, headers=self._where(request, content))

    def _where(self, request: web.Request, content: bytearray) -> dict[str, str]:
        return {"Location": request.raw_path.partition("&")[0], "Range": f"0-{max(len(content) - 1, 0)}"}


def error(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An answer with the specification's error body."""
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)


def once(fault: Fault) -> Fault:
    """The fault until it has answered once."""
    done = False

    async def first(request: web.Request) -> web.StreamResponse | None:
        nonlocal done
        if done:
            return None
        answer = await fault(request)
        done = answer is not None
        return answer

    return first


async def cut(request: web.Request) -> web.StreamResponse:
    """Close the connection as a network does that goes away, without an answer."""
    assert request.transport
    request.transport.abort()
    return web.Response()


def cut_upload_after(registry: FakeRegistry, limit: int) -> Fault:
    """Keep the first ``limit`` bytes of the first PATCH, then cut the connection."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        content = registry.uploads[request.path.rpartition("/")[2]]
        left = limit
        while left:
            piece = await request.content.read(min(left, 65536))
            content += piece
            request["seen"].body += len(piece)
            left -= len(piece)
        return await cut(request)

    return once(fault)


def cut_download_after(registry: FakeRegistry, limit: int) -> Fault:
    """Send the first ``limit`` bytes of the first blob asked for, then cut the connection."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.method != "GET" or "/blobs/sha256:" not in request.path:
            return None
        content = registry.blobs[request.path.rpartition("/")[2]]
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:limit])
        await asyncio.sleep(0)
        assert request.transport
        request.transport.close()
        return response

    return once(fault)


@contextlib.asynccontextmanager
async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve one handler for all paths; the value is the URL."""

    async def shielded(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        return await handle(request)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", shielded)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def fake_registry(*, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeRegistry]:
    """A fake registry that listens."""
    registry = FakeRegistry()
    async with serving(registry.handle, host=host, tls=tls) as url:
        registry.url = url
        yield registry
