"""The JSON API under ``/api/v1/``: all its endpoints, and the way of a request to one of them and back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from dockyard.errors import Unauthenticated
from dockyard.web import openapi
from dockyard.web.json import (
    account,
    accounts,
    audit,
    invitations,
    organisations,
    repositories,
    robots,
    search,
    teams,
    tokens,
    users,
)
from dockyard.web.json.asking import challenge, identify, require_somebody
from dockyard.web.json.endpoint import BODY_LIMIT, PREFIX, Ask, Endpoint, Stream, compiled, endpoint, read_body
from dockyard.web.messages import Response
from dockyard.web.refusals import JSON, not_allowed, not_found, refuse
from dockyard.web.routing import Kind, Route

if TYPE_CHECKING:
    import re

    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Request

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"vary", b"Authorization, Cookie"),
)
"""What every answer has."""


@endpoint("GET", "/openapi.json", "This API as an OpenAPI document", public=True)
async def get_document(ask: Ask) -> dict[str, Any]:
    """Answer with the document."""
    return document()


_MODULES = (account, tokens, accounts, organisations, teams, repositories, robots, search, audit, invitations, users)
ENDPOINTS = (
    get_document,
    *(found for module in _MODULES for found in vars(module).values() if isinstance(found, Endpoint)),
)
"""Everything that there is under the prefix, in the order of the document."""


@cache
def document() -> dict[str, Any]:
    """The API as an OpenAPI document: made when it is first asked for, as every start would wait for it."""
    return openapi.document(ENDPOINTS)


def _table() -> list[tuple[re.Pattern[str], dict[str, Endpoint]]]:
    paths: dict[str, dict[str, Endpoint]] = {}
    for found in ENDPOINTS:
        methods = paths.setdefault(found.path, {})
        methods[found.method] = found
        if found.method == "GET":
            methods["HEAD"] = found
    return [(compiled(path), methods) for path, methods in paths.items()]


_TABLE = _table()


async def answer(hub: Hub, request: Request) -> Response:
    """Answer one request; other errors than Unauthenticated are the caller's."""
    request.route = Route(Kind.API, rest=request.path.removeprefix(PREFIX))
    try:
        return await _answer(hub, request)
    except Unauthenticated as error:
        response = refuse(error)
        response.headers += challenge(hub, request)
        return response


async def _answer(hub: Hub, request: Request) -> Response:
    path = request.path.removeprefix(PREFIX)
    found = next(((match, methods) for pattern, methods in _TABLE if (match := pattern.fullmatch(path))), None)
    if found is None or not request.path.startswith(PREFIX):
        return not_found(request.path)
    match, methods = found
    if request.method not in methods:
        return not_allowed(request.method, sorted(methods))
    chosen = methods[request.method]
    # Before it is asked who sends it: a body may take a minute, and access ends in seconds.
    raw = await request.body(BODY_LIMIT) if chosen.body else b""
    ask = await identify(hub, request)
    if not chosen.public:
        require_somebody(ask)
    arguments = chosen.arguments(match.groupdict(), request.query_string)
    if chosen.body:
        arguments["body"] = read_body(chosen.body, request.header(b"content-type"), raw)
    return _response(chosen, await chosen.handle(ask, **arguments))


def _response(chosen: Endpoint, value: Any) -> Response:
    if isinstance(value, Stream):
        return Response(chosen.status, [(b"content-type", value.media_type.encode())], value.pieces)
    if chosen.answer is None:
        return Response(chosen.status)
    response = Response(chosen.status, [JSON], msgspec.json.encode(value))
    if chosen.location:
        response.headers.append((b"location", chosen.place_of(value).encode()))
    return response
