"""A request and its answer, as handlers see them: a thin, quick layer over ASGI.

Manifests are asked for more than ten thousand times a second, and every object made for each request shows in that
number; so headers and query are only read when a handler asks for them, and there is no stack of middleware.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from dockyard.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping

    from dockyard.registry.access import Actor
    from dockyard.web.routing import Route

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Body = bytes | Path
"""What an answer carries, where it is not made while it is sent."""

WINDOW, PATIENCE = 64 * 1024, 60.0
"""Bytes that have to arrive within so many seconds, or the sender is given up."""

DRAIN, DRAIN_SECONDS = 8 * 1024 * 1024, 2.0
"""How much of an unwanted body is read, so that its sender gets to read the answer."""


AHEAD, AHEAD_AFTER = 16, 4
"""Pieces of a long body that are asked for at once, and after how many pieces a body is long."""


class ClientGone(Exception):
    """The client hung up in the middle; there is nobody to answer."""


class ClientSlow(Exception):
    """The client sends less than :data:`WINDOW` bytes in :data:`PATIENCE` seconds."""


@dataclass(slots=True)
class Response:
    """An answer. ``size`` is that of the content, sent as Content-Length, where the body does not say it."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: Body | AsyncIterator[bytes] = b""
    size: int | None = None


class Request:
    """One request. ``received`` counts the bytes of its body that were read."""

    __slots__ = (
        "_asked",
        "_broken",
        "_ended",
        "_headers",
        "_pieces",
        "_query",
        "_receive",
        "_scope",
        "actor",
        "method",
        "received",
        "route",
    )

    def __init__(self, scope: Scope, receive: Receive, actor: Actor, route: Route) -> None:
        self.method: str = scope["method"]
        self.actor = actor
        self.route = route
        self.received = 0
        self._scope, self._receive = scope, receive
        self._headers: Mapping[bytes, bytes] | None = None
        self._query: Mapping[str, list[str]] | None = None
        self._ended = self._broken = False
        self._asked: deque[Awaitable[MutableMapping[str, Any]]] = deque()
        self._pieces = 0

    @property
    def path(self) -> str:
        """The path as it was sent: an escaped slash is not a slash."""
        path: bytes = self._scope["raw_path"]
        return path.decode("latin-1")

    @property
    def query_string(self) -> bytes:
        """The query as it was sent."""
        query: bytes = self._scope["query_string"]
        return query

    @property
    def address(self) -> str:
        """Where the client is; ``""`` where the server does not know."""
        client = self._scope.get("client")
        return str(client[0]) if client else ""

    def header(self, name: bytes) -> str | None:
        """The value of a header; ``name`` in lower case."""
        if self._headers is None:
            self._headers = dict(self._scope["headers"])
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self, name: str) -> str | None:
        """The first value of a parameter of the query."""
        values = self.queries(name)
        return values[0] if values else None

    def queries(self, name: str) -> list[str]:
        """Every value of a parameter of the query."""
        if self._query is None:
            text = self._scope["query_string"].decode("latin-1")
            self._query = parse_qs(text, keep_blank_values=True) if text else {}
        return self._query.get(name, [])

    @property
    def length(self) -> int | None:
        """What Content-Length announces, in bytes; ``None`` where the body is chunked or there is none."""
        value = self.header(b"content-length")
        return int(value) if value is not None and value.isdecimal() else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. ClientGone, ClientSlow."""
        due, missing = time.monotonic() + PATIENCE, WINDOW
        while not self._ended:
            piece = await self._piece(due)
            missing -= len(piece)
            if missing <= 0:
                due, missing = time.monotonic() + PATIENCE, WINDOW
            if piece:
                yield piece

    async def body(self, limit: int) -> bytes:
        """Return the whole body. TooLarge before anything is read where it announces more than ``limit`` bytes."""
        if (self.length or 0) > limit:
            raise TooLarge(f"the body has {self.length} bytes; the limit is {limit}")
        pieces: list[bytes] = []
        async for piece in self.chunks():
            pieces.append(piece)
            if self.received > limit:
                raise TooLarge(f"the body has more than {limit} bytes, which is the limit")
        return b"".join(pieces)

    async def drain(self) -> bool:
        """Read what is left of a body that nobody wants, a little of it; whether the connection is clean then.

        A client that still waits for leave to send is not given it. ClientGone.
        """
        if self._broken or self._ended or (not self.length and self.header(b"transfer-encoding") is None):
            return not self._broken
        if self.header(b"expect") is not None and not self.received:
            return False
        due, limit = time.monotonic() + DRAIN_SECONDS, self.received + DRAIN
        with contextlib.suppress(ClientSlow):
            while not self._ended and self.received < limit:
                await self._piece(due)
        return self._ended

    async def gone(self) -> None:
        """Return when the client hangs up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def release(self) -> None:
        """Let go of the connection, once the request is over.

        The server closes it only when nothing here refers to it, and the traceback of an error may refer to this.
        """
        while self._asked:
            self._asked.pop().cancel()  # type: ignore[attr-defined]
        self._receive = _hung_up

    async def _piece(self, due: float) -> bytes:
        message = await self._next(due)
        if message["type"] != "http.request":
            self._broken = True
            raise ClientGone
        self._ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        self.received += len(piece)
        self._pieces += 1
        return piece

    async def _next(self, due: float) -> MutableMapping[str, Any]:
        # Most clients cut a stream into chunks of 32 KiB, and each is a round trip between the server's thread and
        # this one. The server answers in the order it is asked: with several questions under way neither waits.
        asked = self._asked.popleft() if self._asked else self._receive()
        if self._pieces >= AHEAD_AFTER and hasattr(asked, "cancel"):  # a future, which is under way by itself
            while len(self._asked) < AHEAD:
                self._asked.append(self._receive())
            if asked.done():  # type: ignore[attr-defined]
                return await asked
        try:
            async with asyncio.timeout(due - time.monotonic()):
                return await asked
        except TimeoutError:
            self._broken = True
            raise ClientSlow from None


async def _hung_up() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}
