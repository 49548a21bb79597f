"""One request from its first byte to its line in the log.

The answer is counted before it leaves, and logged once it is gone. An error becomes its answer here, whatever handler
it came from; what nobody foresaw is logged with its traceback, and told the client without any of it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dockyard.errors import DockyardError
from dockyard.registry.access import ANONYMOUS, EVERYBODY
from dockyard.web.messages import ClientGone, ClientSlow, Request, Response
from dockyard.web.refusals import INTERNAL, error_response, refuse
from dockyard.web.routing import Kind, Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Receive, Scope, Send
    from dockyard.web.metrics import Metrics

HANGUP = 499
"""What log and metrics call a request whose client hung up."""

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_CLOSE = (b"connection", b"close")
_BODILESS = frozenset({204, 304})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NOWHERE = Route(Kind.OTHER)


class Exchange:
    """Answers the requests of one API."""

    def __init__(
        self,
        metrics: Metrics,
        handle: Callable[[Hub, Request], Awaitable[Response]],
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """``handle`` makes the answer; ``headers`` are on every one."""
        self._metrics, self._handle, self._headers = metrics, handle, (*headers, _NO_SNIFFING)
        self._log = structlog.get_logger("dockyard.web")
        self._ids, self._process = itertools.count(1), os.urandom(4).hex()

    async def __call__(self, hub: Hub, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        request = Request(scope, receive, EVERYBODY if hub.rights.open_to_all else ANONYMOUS, _NOWHERE)
        asked = request.header(b"x-request-id")
        name = asked if asked and _REQUEST_ID.fullmatch(asked) else f"{self._process}-{next(self._ids)}"
        response = await self._answer(hub, request, name)
        self._metrics.count(request.method, request.route.kind.value, response.status, time.perf_counter() - began)
        headers = [*self._headers, (b"x-request-id", name.encode())]
        if not await _settled(request):
            headers.append(_CLOSE)
        sent = 0
        try:
            # Who hung up hears nothing. A body that broke HTTP looks the same from here, and its sender listens.
            answer = _incomplete() if response.status == HANGUP else response
            sent = await _send(request, answer, [*headers, *answer.headers], send)
        except DockyardError as error:
            # The headers are gone: all that can still be said is that the body ends too early.
            self._log.error("answer broken off", id=name, error=error.message)
        finally:
            request.release()
        self._metrics.moved(request.received, sent)
        self._note(scope, request, name, response.status, time.perf_counter() - began, sent)

    async def _answer(self, hub: Hub, request: Request, name: str) -> Response:
        try:
            return await self._handle(hub, request)
        except DockyardError as error:
            response = refuse(error, request.route)
            if response.status >= 500:
                self._log.warning("request refused", id=name, error=error.message)
            return response
        except ClientGone:
            return Response(HANGUP)
        except ClientSlow:
            return error_response(408, "SIZE_INVALID", "the request's body came too slowly and was given up")
        except Exception:
            self._log.exception("request failed", id=name)
            return error_response(500, "UNKNOWN", INTERNAL)

    def _note(self, scope: Scope, request: Request, name: str, status: int, seconds: float, sent: int) -> None:
        route, client = request.route, scope["client"]
        # The id of a session is the right to write to it.
        rest = route.rest[:8] if route.kind is Kind.UPLOAD else route.rest
        self._log.info(
            "request",
            id=name,
            method=request.method,
            route=route.kind.value,
            repository=route.repository,
            target=rest[:200],
            status=status,
            ms=round(seconds * 1000, 3),
            received=request.received,
            sent=sent,
            client=client[0] if client else "",
            user=request.actor.name or "",
            agent=(request.header(b"user-agent") or "")[:200],
        )


def _incomplete() -> Response:
    return error_response(400, "SIZE_INVALID", "the body ended before it was complete, or broke the rules of HTTP")


async def _settled(request: Request) -> bool:
    """Whether nothing of the request is left on the connection, which can then serve the next one."""
    try:
        return await request.drain()
    except ClientGone:
        return False


async def _send(request: Request, response: Response, headers: list[tuple[bytes, bytes]], send: Send) -> int:
    """Send the answer; return the bytes of its body."""
    body = response.body
    size = len(body) if isinstance(body, bytes) else response.size
    if response.status not in _BODILESS and size is not None:
        headers.append((b"content-length", b"%d" % size))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if request.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return 0
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return len(body)
    if isinstance(body, Path):
        # From here on the server sends the file by itself, whole.
        await send({"type": "http.response.pathsend", "path": str(body)})
        return size or 0
    return await _stream(request, body, send)


async def _stream(request: Request, body: AsyncIterator[bytes], send: Send) -> int:
    """Send piece by piece until the end, or until the client hangs up: sending into nothing raises no error."""
    sent = 0
    gone = asyncio.ensure_future(request.gone())
    try:
        async for piece in body:
            if gone.done():
                return sent
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += len(piece)
        await send({"type": "http.response.body", "body": b""})
        return sent
    finally:
        gone.cancel()
        if isinstance(body, AsyncGenerator):
            await body.aclose()
