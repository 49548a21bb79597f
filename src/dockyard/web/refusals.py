"""Errors as HTTP: the one table from kinds to statuses, and the body that the specification asks for.

Source: OCI distribution specification, section "Error Codes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dockyard.errors import (
    Conflict,
    Denied,
    DockyardError,
    Full,
    Invalid,
    NotFound,
    OutOfRange,
    RangeInvalid,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from dockyard.web.messages import Response
from dockyard.web.ranges import upload_range
from dockyard.web.routing import Kind, upload_path

if TYPE_CHECKING:
    from dockyard.web.routing import Route

STATUS: dict[type[DockyardError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Denied: 403,
    NotFound: 404,
    Unsupported: 405,
    Conflict: 409,
    TooLarge: 413,
    OutOfRange: 416,
    TooMany: 429,
    Unavailable: 503,
    Full: 507,
}
"""Kind of error → status."""

JSON = (b"content-type", b"application/json")
INTERNAL = "the registry failed; its log says more under this request's X-Request-Id"


def status_of(error: DockyardError) -> int:
    """The status for an error, by its kind."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def refuse(error: DockyardError, route: Route | None = None) -> Response:
    """Answer with an error; an upload that was not where the client thought says where it stands."""
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    response = error_response(status_of(error), error.code, message, error.detail)
    if isinstance(error, RangeInvalid) and route and route.kind is Kind.UPLOAD:
        response.headers += [
            (b"location", upload_path(route.repository, route.rest).encode()),
            (b"range", upload_range(error.offset).encode()),
            (b"docker-upload-uuid", route.rest.encode()),
        ]
    if isinstance(error, TooMany | Unavailable) and error.retry_after is not None:
        response.headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    return response


def not_found(path: str) -> Response:
    """Answer for a path that nothing lives at."""
    return error_response(404, "UNSUPPORTED", f"there is nothing at {path[:200]!r}")


def not_allowed(method: str, allowed: list[str]) -> Response:
    """Answer for a method that this path does not know."""
    response = error_response(405, "UNSUPPORTED", f"{method[:20]} is not done here; {', '.join(allowed)} is")
    response.headers.append(allow(allowed))
    return response


def allow(methods: list[str]) -> tuple[bytes, bytes]:
    """The header that RFC 9110 wants beside every 405."""
    return b"allow", ", ".join(methods).encode()


def error_response(status: int, code: str, message: str, detail: object = None) -> Response:
    """The error body of the specification."""
    entry: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        entry["detail"] = detail
    return Response(status, [JSON], msgspec.json.encode({"errors": [entry]}, enc_hook=str))
