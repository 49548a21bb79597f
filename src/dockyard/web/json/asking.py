"""Who asks the JSON API: a password or token in ``Authorization``, or a session's cookie with its CSRF token."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import cookie_parser

from dockyard.errors import Unauthenticated
from dockyard.registry.access import ANONYMOUS, Kind
from dockyard.web.authentication import BASIC, basic
from dockyard.web.cookies import SESSION, cookie_name
from dockyard.web.json.endpoint import Ask

if TYPE_CHECKING:
    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Request


async def identify(hub: Hub, request: Request) -> Ask:
    """Who asks. Unauthenticated where credentials are wrong; TooMany where they were too often."""
    authorization = request.header(b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return Ask(hub, await hub.credentials.token(value.strip(), address=request.address))
        if scheme.lower() == "basic":
            return Ask(hub, await hub.credentials.basic(*basic(value), address=request.address))
        raise Unauthenticated("log in with a password or a token", hint="Authorization is Basic or Bearer here.")
    cookie, csrf = _cookie(hub, request), request.header(b"x-csrf-token")
    if cookie and csrf:
        found = await hub.sessions.actor(cookie, address=request.address)
        # Any page can have a browser send the cookie along; only ours know the other half.
        if found and hmac.compare_digest(found[1].encode(), csrf.encode()):
            return Ask(hub, found[0], cookie)
    return Ask(hub, replace(ANONYMOUS, address=request.address))


def require_somebody(ask: Ask) -> None:
    """Raise Unauthenticated where nobody said who they are."""
    if ask.actor.kind is Kind.ANONYMOUS:
        raise Unauthenticated("authentication required")


def challenge(hub: Hub, request: Request) -> list[tuple[bytes, bytes]]:
    """The header beside a 401. A browser with a session gets none: it would ask its user for a password."""
    if request.header(b"authorization") is None and (_cookie(hub, request) or request.header(b"x-csrf-token")):
        return []
    return [BASIC]


def _cookie(hub: Hub, request: Request) -> str | None:
    cookies = cookie_parser(request.header(b"cookie") or "")
    return cookies.get(cookie_name(SESSION, hub.settings.url))
