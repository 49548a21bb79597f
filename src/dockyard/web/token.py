"""The token service: who proves who they are gets a ticket for what they ask and may.

``GET`` with Basic, or with nothing for what is public; ``POST`` with a form. Who asks for too much is given less, and
never refused; wrong credentials are, and never taken for none. Source: distribution's ``spec/auth/token.md`` and
``spec/auth/oauth.md``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from dockyard.errors import Invalid, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry import access
from dockyard.registry.access import ANONYMOUS, HUB, Action
from dockyard.registry.tokens import PREFIXES
from dockyard.web.authentication import BASIC, basic
from dockyard.web.messages import Response
from dockyard.web.refusals import JSON, not_allowed, refuse
from dockyard.web.routing import Kind, Route
from dockyard.web.scopes import format_scopes, parse_scopes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Request

HEADERS = ((b"cache-control", b"no-store"),)
"""What every answer has."""

LARGEST_FORM = 64 * 1024
"""Bytes of a form."""

_ROUTE = Route(Kind.TOKEN)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a ticket: by whom, for what, and for whom a login is kept (``None``: it is not).

    ``login`` is the secret of the login that was shown, if one was.
    """

    actor: Actor
    scopes: list[tuple[str, str]]
    client: str | None
    login: str | None = None


async def answer(hub: Hub, request: Request) -> Response:
    """Give a ticket. Invalid, TooLarge, TooMany."""
    request.route = _ROUTE
    read = HANDLERS.get(request.method)
    if read is None:
        return not_allowed(request.method, sorted(HANDLERS))
    try:
        asked = await read(hub, request)
    except Unauthenticated as error:
        response = refuse(error)
        response.headers.append(BASIC)
        return response
    request.actor = asked.actor
    return Response(200, [JSON], msgspec.json.encode(await _ticket(hub, asked)))


async def _by_query(hub: Hub, request: Request) -> Asked:
    scopes = parse_scopes(request.queries("scope"))
    text = request.header(b"authorization")
    if text is None:
        return Asked(ANONYMOUS, scopes, None)
    scheme, _, value = text.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("authentication is by Basic here")
    username, password = basic(value)
    actor = await hub.credentials.basic(username, password, address=request.address)
    offline = request.query("offline_token") == "true" or request.query("access_type") == "offline"
    client = (request.query("client_id") or "") if offline else None
    return Asked(actor, scopes, client, _login(password))


async def _by_form(hub: Hub, request: Request) -> Asked:
    form = await _form(request)
    scopes, address = parse_scopes(form.get("scope", [])), request.address
    match _field(form, "grant_type"):
        case "password":
            password = _field(form, "password")
            actor = await hub.credentials.basic(_field(form, "username"), password, address=address)
            login = _login(password)
        case "refresh_token":
            login = _field(form, "refresh_token")
            actor = await hub.credentials.token(login, address=address)
        case kind:
            raise Invalid(f"unknown grant_type {kind[:40]!r}", hint="Known are password and refresh_token.")
    offline = _field(form, "access_type") == "offline"
    return Asked(actor, scopes, _field(form, "client_id") if offline or login else None, login)


HANDLERS: dict[str, Callable[[Hub, Request], Awaitable[Asked]]] = {"GET": _by_query, "POST": _by_form}


async def _ticket(hub: Hub, asked: Asked) -> dict[str, Any]:
    granted = [pair for pair in asked.scopes if await _may(hub, asked.actor, *pair)]
    issued = hub.signing.issue(asked.actor, asked.scopes, granted)
    made: dict[str, Any] = {
        "token": issued.text,
        "access_token": issued.text,
        "expires_in": issued.expires_in,
        "issued_at": dt.datetime.fromtimestamp(issued.at, dt.UTC),
        "scope": format_scopes(granted),
    }
    if asked.client is not None:
        made["refresh_token"] = asked.login or await hub.tokens.create_login(asked.actor, asked.client)
    return made


async def _may(hub: Hub, actor: Actor, action: str, name: str) -> bool:
    if not name:
        return access.allowed(actor, Action(action), HUB)
    return await hub.rights.allowed(actor, Action(action), RepositoryName(name))


async def _form(request: Request) -> Mapping[str, list[str]]:
    raw = await request.body(LARGEST_FORM)
    try:
        return parse_qs(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise Invalid("the body is not a form, application/x-www-form-urlencoded in UTF-8") from None


def _field(form: Mapping[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]


def _login(password: str) -> str | None:
    """The secret, where it is a login's: there is no use in another one."""
    return password if password.startswith(PREFIXES["login"]) else None
