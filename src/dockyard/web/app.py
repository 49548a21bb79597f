"""The composition root of the web: one ASGI application over one hub.

Everything under ``/v2/`` goes a short way of its own; the few other addresses are Starlette's.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dockyard.errors import DockyardError
from dockyard.registry.hub import Hub
from dockyard.web import token, v2
from dockyard.web.addresses import address_of, networks
from dockyard.web.exchange import Exchange
from dockyard.web.json import api
from dockyard.web.json.endpoint import PREFIX
from dockyard.web.metrics import Metrics
from dockyard.web.pages import site
from dockyard.web.pages.front import ABOUT
from dockyard.web.refusals import status_of
from dockyard.web.routing import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from starlette.requests import Request

    from dockyard.config import ServeSettings
    from dockyard.web.messages import Receive, Scope, Send


class App:
    """The application. Its lifespan opens and closes the hub, which handlers find as ``request.app.state.hub``."""

    hub: Hub

    def __init__(
        self,
        settings: ServeSettings,
        clock: Callable[[], float],
        counts: Path | None,
        around: AbstractContextManager[object],
    ) -> None:
        """Use :func:`create_app`."""
        self._settings, self._clock, self._around = settings, clock, around
        self._trusted = networks(settings.trusted_proxies)
        self._metrics = Metrics(counts)
        self._exchange = Exchange(self._metrics, v2.answer, v2.HEADERS)
        self._tokens = Exchange(self._metrics, token.answer, token.HEADERS)
        self._api = Exchange(self._metrics, api.answer, api.HEADERS)
        self._with_accounts = settings.auth == "accounts"
        routes = [
            Route("/healthz", self._healthy),
            Route("/readyz", self._ready),
            Route("/metrics", self._numbers),
            *(site.routes() if self._with_accounts else [Route("/", self._about)]),
        ]
        self._others = Starlette(routes=routes, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "http":
            # Everything inside takes this for the client, not the proxy in front.
            scope["client"] = address_of(scope, self._trusted), 0
        if scope["type"] == "http" and scope["path"].startswith("/v2"):
            await self._exchange(self.hub, scope, receive, send)
        elif scope["type"] == "http" and self._with_accounts and scope["path"].startswith(PREFIX):
            await self._api(self.hub, scope, receive, send)
        elif scope["type"] == "http" and self._with_accounts and scope["path"] == "/token":
            await self._tokens(self.hub, scope, receive, send)
        elif scope["type"] == "http":
            await self._others(scope, receive, self._counting(scope, send))
        else:
            await self._others(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.hub = app.state.hub = await Hub.open(self._settings, clock=self._clock)
        with self._around:
            try:
                yield
            finally:
                await self.hub.close()

    def _counting(self, scope: Scope, send: Send) -> Send:
        began = time.perf_counter()

        async def counted(message: Scope) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - began
                self._metrics.count(scope["method"], Kind.OTHER.value, message["status"], seconds)
            await send(message)

        return counted

    async def _about(self, request: Request) -> Response:
        return PlainTextResponse(ABOUT.format(host=request.headers.get("host", "HOST")))

    async def _healthy(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        try:
            await self.hub.content.ready()
        except DockyardError as error:
            return JSONResponse({"ready": False, "why": error.message}, status_of(error))
        return JSONResponse({"ready": True})

    async def _numbers(self, request: Request) -> Response:
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_app(
    settings: ServeSettings,
    *,
    clock: Callable[[], float] = time.time,
    counts: Path | None = None,
    around: AbstractContextManager[object] | None = None,
) -> App:
    """Wire the hub together. The only place that knows every part.

    ``counts`` is the folder in which all workers of a server count; ``around`` is entered when the hub is open
    and left when all has ended.
    """
    return App(settings, clock, counts, around or contextlib.nullcontext())
