"""The OpenAPI document of the JSON API, made from the endpoints' declarations.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from dockyard.errors import Full, Invalid, NotFound, TooLarge, TooMany, Unauthenticated, Unavailable
from dockyard.web.json.endpoint import PREFIX, Stream
from dockyard.web.json.fields import PARAMETERS
from dockyard.web.refusals import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dockyard.web.json.endpoint import Endpoint

JSON = "application/json"

ABOUT = """Everything that the hub does besides pushing and pulling: accounts, organisations, repositories and who may
do what. Bodies are JSON; a field that is not listed is an error. Lists come as `{"items": […], "next": …}`; where
`next` is not null, the same request with it as `after` gives what follows. `HEAD` answers wherever `GET` does. What
somebody may not know of is answered as what does not exist."""

SECURITY = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "User name with the password or, as it has to be with a second factor, a personal access token",
    },
    "token": {"type": "http", "scheme": "bearer", "description": "A personal access token, or a robot's secret"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "dockyard_session",
        "description": "The cookie of a browser that is signed in, `__Host-dockyard_session` over https; "
        "it counts only together with X-CSRF-Token",
    },
    "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "The session's own token"},
}
_WAYS: list[dict[str, list[str]]] = [{"basic": []}, {"token": []}, {"session": [], "csrf": []}]

WHEN = {
    400: "What was sent breaks a rule",
    401: "Nobody said who asks, or the credentials are wrong",
    403: "Who asks may not do this",
    404: "There is no such thing, or none that who asks may know of",
    408: "The body came too slowly",
    409: "The thing exists already, is in use, or is the last of its kind that has to be there",
    413: "The body is over 64 KiB",
    429: "Asked too often",
    500: "The hub failed",
    503: "Database or disk can't be used now",
    507: "The disk is full",
}
"""What each status of an error means."""

_HEADERS = {
    401: {"WWW-Authenticate": "Basic; not for browsers with a session"},
    429: {"Retry-After": "in how many seconds to come back"},
    503: {"Retry-After": "in how many seconds to come back"},
}


class Problem(msgspec.Struct):
    """One thing that is wrong; `code` is for programs, `message` for people."""

    code: str
    message: str
    detail: Any = None


class Problems(msgspec.Struct):
    """The body of every error."""

    errors: list[Problem]


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document."""
    kinds = {kind for found in endpoints for kind in (found.body, found.answer) if kind not in (None, Stream)}
    ordered = sorted(kinds, key=str)
    references, schemas = msgspec.json.schema_components(
        (*ordered, Problems), ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(ordered, references, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for found in endpoints:
        paths.setdefault(found.path, {})[found.method.lower()] = _operation(found, schema_of)
    return {
        "openapi": "3.1.1",
        "info": {"title": "dockyard hub", "version": "1", "description": ABOUT},
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {_error(status): _problem(status, references[-1]) for status in WHEN},
            "securitySchemes": SECURITY,
        },
    }


def statuses(found: Endpoint) -> list[int]:
    """The errors that an endpoint may answer with."""
    kinds = {Invalid, Unauthenticated, TooMany, Unavailable, *found.errors}
    if found.body:
        kinds.add(TooLarge)
    if found.method != "GET":
        kinds.add(Full)
    if "id" in found.names:
        kinds.add(NotFound)
    return sorted({*(STATUS[kind] for kind in kinds), 500, *([408] if found.body else [])})


def _operation(found: Endpoint, schema_of: dict[Any, Any]) -> dict[str, Any]:
    noun = found.handle.__module__.rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{noun}.{found.handle.__name__}",
        "tags": [noun],
        "summary": found.summary,
        "security": [{}, *_WAYS] if found.public else _WAYS,
        "parameters": [*_path_parameters(found), *_query_parameters(found)],
        "responses": {str(found.status): _success(found, schema_of)}
        | {str(status): {"$ref": f"#/components/responses/{_error(status)}"} for status in statuses(found)},
    }
    if found.body:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[found.body]}}}
    return operation


def _success(found: Endpoint, schema_of: dict[Any, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(found.status).phrase}
    if found.location:
        text = {"type": "string"}
        response["headers"] = {
            "Location": {"description": "the path of what was made", "required": True, "schema": text}
        }
    if found.media:
        response["content"] = {media: {"schema": {"type": "string"}} for media in found.media}
    elif found.answer is not None:
        response["content"] = {JSON: {"schema": schema_of[found.answer]}}
    return response


def _path_parameters(found: Endpoint) -> Iterable[dict[str, Any]]:
    for name in found.names:
        parameter = PARAMETERS[name]
        shape = {"name": name, "in": "path", "required": True}
        yield shape | {"description": parameter.meaning, "schema": parameter.schema}


def _query_parameters(found: Endpoint) -> Iterable[dict[str, Any]]:
    if not found.query:
        return
    _, schemas = msgspec.json.schema_components((found.query,))
    schema = schemas[found.query.__name__]
    for name, described in schema["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in schema["required"]}
        if "description" in described:
            parameter["description"] = described["description"]
        yield parameter | {"schema": {key: value for key, value in described.items() if key != "description"}}


def _problem(status: int, schema: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": WHEN[status], "content": {JSON: {"schema": schema}}}
    if status in _HEADERS:
        response["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in _HEADERS[status].items()
        }
    return response


def _error(status: int) -> str:
    return re.sub(r"\W", "", HTTPStatus(status).phrase)
