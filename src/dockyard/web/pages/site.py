"""Every page with its address, and what becomes of errors there."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dockyard.errors import DockyardError, NotFound
from dockyard.web.messages import ClientGone, ClientSlow
from dockyard.web.pages import account, front, invitations, second_factor, setup, sign_in, sign_up, tokens
from dockyard.web.pages.rendering import Rendering
from dockyard.web.pages.visit import Visit, page_status, sentence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from dockyard.web.pages.forms import Form

    Show = Callable[[Visit], Awaitable[Response]]
    Act = Callable[[Visit, Form], Awaitable[Response]]

INTERNAL = "This hub failed to answer. Its log says more."
UNAVAILABLE = "This hub can't answer now. Its log says more; trying again may help."


@dataclass(frozen=True, slots=True)
class Page:
    """What answers at an address: ``show`` a GET, ``act`` a form. Its address holds a code where not ``referrer``."""

    path: str
    show: Show | None
    act: Act | None = None
    signed_in: bool = True
    referrer: bool = True

    @property
    def methods(self) -> list[str]:
        """The methods of it."""
        return ["GET"] * (self.show is not None) + ["POST"] * (self.act is not None)


PAGES = (
    Page("/", front.show, signed_in=False),
    Page("/login", sign_in.show, sign_in.act, signed_in=False, referrer=False),
    Page("/login/code", sign_in.show_code, sign_in.act_code, signed_in=False, referrer=False),
    Page("/logout", None, sign_in.sign_out),
    Page("/setup", setup.show, setup.act, signed_in=False, referrer=False),
    Page("/signup", sign_up.show, sign_up.act, signed_in=False, referrer=False),
    Page("/account", account.show, account.act),
    Page("/account/tokens", tokens.show, tokens.act),
    Page("/account/two-factor", second_factor.show, second_factor.act),
    Page("/account/sessions", account.show_sessions, account.act_sessions),
    Page("/account/invitations", invitations.show, invitations.act),
)
"""All pages. They are there with accounts only."""


def routes() -> list[Route]:
    """The pages, what they load, and a page for every address that has none."""
    rendering = Rendering()
    found = [Route(page.path, _Endpoint(page, rendering).answer, methods=page.methods) for page in PAGES]
    nowhere = _Endpoint(Page("", _nothing, signed_in=False), rendering)
    return [*found, Route("/static/{name}", _static(rendering)), Route("/{path:path}", nowhere.answer, methods=["GET"])]


def _static(rendering: Rendering) -> Callable[[Request], Awaitable[Response]]:
    async def static(request: Request) -> Response:
        return rendering.static(request.path_params["name"]) or PlainTextResponse("Not Found", 404)

    return static


async def _nothing(visit: Visit) -> Response:
    if not visit.wants_html:
        return PlainTextResponse("Not Found", 404)
    raise NotFound("there is nothing at this address")


class _Endpoint:
    """One page as an endpoint."""

    def __init__(self, page: Page, rendering: Rendering) -> None:
        self._page, self._rendering = page, rendering
        self._log = structlog.get_logger("dockyard.web")

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        visit = Visit(request.app.state.hub, request, self._rendering, referrer=self._page.referrer)
        try:
            response = await self._answered(visit)
            await visit.settle(response)
            return response
        except (ClientGone, ClientSlow):
            return PlainTextResponse("Request Timeout", 408, {"Connection": "close"})

    async def _answered(self, visit: Visit) -> Response:
        try:
            await visit.enter()
            return await self._answer(visit)
        except DockyardError as error:
            status, message = page_status(error), sentence(error)
            if status >= 500:
                # What is wrong inside is for those who run the hub.
                self._log.error("page failed", page=self._page.path, method=visit.request.method, error=error.message)
                message = UNAVAILABLE
            return visit.page("error", error=error, title=_title(status), message=message)
        except (ClientGone, ClientSlow):
            raise
        except Exception:
            self._log.exception("page failed", page=self._page.path, method=visit.request.method)
            return visit.page("error", status=500, title=_title(500), message=INTERNAL)

    async def _answer(self, visit: Visit) -> Response:
        page = self._page
        if page.signed_in and visit.actor is None:
            if page.show is None:
                return visit.redirect("/")
            query = visit.request.url.query
            return visit.redirect("/login?next=" + quote(f"{page.path}?{query}" if query else page.path, safe=""))
        if visit.request.method == "POST" and page.act:
            return await page.act(visit, await visit.form())
        return await page.show(visit) if page.show else await _nothing(visit)


def _title(status: int) -> str:
    return {400: "This was not understood", 404: "Not found", 403: "Not allowed", 413: "Too large"}.get(
        status, HTTPStatus(status).phrase
    )
