"""Who asks on ``/v2/``, and whether their ticket asked for it: the header Authorization, and nothing else.

Cookies are never looked at here, so no page that a browser shows can act with them. Source: distribution's
``spec/auth/token.md``; RFC 6750, section 3; RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING

from dockyard.errors import NameInvalid, Unauthenticated
from dockyard.oci.reference import parse_repository
from dockyard.registry.access import Action, Actor
from dockyard.web.routing import Kind
from dockyard.web.scopes import CATALOG, format_scopes

if TYPE_CHECKING:
    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Request
    from dockyard.web.routing import Route

BASIC = (b"www-authenticate", b'Basic realm="dockyard"')
"""The challenge of the token service, and of others that need none."""

_BY_METHOD = {"GET": Action.PULL, "HEAD": Action.PULL, "PUT": Action.PUSH, "DELETE": Action.DELETE}
_ACTIONS: dict[Kind, dict[str, Action]] = {
    Kind.TAGS: {"GET": Action.PULL, "HEAD": Action.PULL},
    Kind.REFERRERS: {"GET": Action.PULL, "HEAD": Action.PULL},
    Kind.MANIFEST: _BY_METHOD,
    Kind.BLOB: _BY_METHOD,
    Kind.UPLOADS: {"POST": Action.PUSH},
    Kind.UPLOAD: dict.fromkeys(("GET", "HEAD", "PATCH", "PUT", "DELETE"), Action.PUSH),
}


class InsufficientScope(Unauthenticated):
    """The ticket is good, and was not asked for this: the client gets another one."""


def needed(route: Route, method: str) -> tuple[str, str] | None:
    """What a ticket has to have been asked for; ``None`` where any will do."""
    if route.kind is Kind.CATALOG:
        return CATALOG
    action = _ACTIONS.get(route.kind, {}).get(method)
    return None if action is None else (action.value, route.repository)


async def identify(hub: Hub, request: Request) -> Actor:
    """Who asks. Unauthenticated where nobody says so, or it is not true; InsufficientScope."""
    text = request.header(b"authorization")
    if text is None:
        raise Unauthenticated("authentication required")
    scheme, _, value = text.partition(" ")
    match scheme.lower():
        case "bearer":
            return await _by_ticket(hub, request, value.strip())
        case "basic":
            return await hub.credentials.basic(*basic(value), address=request.address)
    raise Unauthenticated("authentication is by Bearer or Basic")


def basic(value: str) -> tuple[str, str]:
    """User name and password of Basic credentials. Unauthenticated where they are none."""
    try:
        # The header's text is of bytes, as which the client meant UTF-8 (RFC 7617, section 2.1).
        username, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Unauthenticated("these are no Basic credentials") from None
    if not colon or not username:
        raise Unauthenticated("these are no Basic credentials")
    return username, password


def challenges(hub: Hub, request: Request, error: Unauthenticated) -> list[tuple[bytes, bytes]]:
    """The header that says how to ask. Basic is taken and not offered: docker applies every scheme that is.

    Its client (distribution's ``registry/client/auth``, ``ModifyRequest``) would fail with an identity token, or
    without a login, where it could pull what is public.
    """
    bearer = f'Bearer realm="{hub.settings.url}/token",service="{hub.signing.service}"'
    if scope := format_scopes(wanted(request)):
        bearer += f',scope="{scope}"'
    if isinstance(error, InsufficientScope):
        bearer += ',error="insufficient_scope"'
    return [(b"www-authenticate", bearer.encode())]


def wanted(request: Request) -> list[tuple[str, str]]:
    """What a client best asks a ticket for, so that this request gets an answer."""
    pair = needed(request.route, request.method)
    if pair is None:
        return []
    action, name = pair
    if action != Action.PUSH.value:
        return [pair]
    wanted = [(Action.PULL.value, name), pair]
    if request.route.kind is Kind.UPLOADS and (origin := request.query("from")):
        with contextlib.suppress(NameInvalid):
            wanted.append((Action.PULL.value, parse_repository(origin)))
    return list(dict.fromkeys(wanted))


async def _by_ticket(hub: Hub, request: Request, text: str) -> Actor:
    actor, ticket = await hub.credentials.ticket(text, address=request.address)
    if ticket.expires <= hub.clock() and not await _may_go_on(hub, request, actor):
        raise Unauthenticated("the token is over")
    pair = needed(request.route, request.method)
    if pair is not None and pair not in ticket.asked:
        raise InsufficientScope("the token was not asked for this")
    return actor


async def _may_go_on(hub: Hub, request: Request, actor: Actor) -> bool:
    """Whether the ticket may be over: bytes of one blob can take longer to send than it holds."""
    if request.route.kind is not Kind.UPLOAD or request.method not in ("PATCH", "PUT") or actor.id is None:
        return False
    return await hub.content.owns_upload(actor, request.route.rest)
