"""The distribution API: which handler answers which method on which kind of path.

Source: OCI distribution specification, section "Endpoints".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Denied, Unauthenticated, Unsupported
from dockyard.web import authentication, v2_blobs, v2_lists, v2_manifests, v2_uploads
from dockyard.web.messages import Response
from dockyard.web.refusals import JSON, allow, not_allowed, not_found, refuse
from dockyard.web.routing import Kind, parse_path
from dockyard.web.scopes import detail_scopes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dockyard.registry.content import Registry
    from dockyard.registry.hub import Hub
    from dockyard.web.messages import Request

    Handler = Callable[[Registry, Request], Awaitable[Response]]


HEADERS = ((b"docker-distribution-api-version", b"registry/2.0"),)
"""What every answer has."""


async def get_base(registry: Registry, request: Request) -> Response:
    """``GET /v2/``: this speaks the protocol."""
    return Response(200, [JSON], b"{}")


HANDLERS: dict[Kind, dict[str, Handler]] = {
    Kind.BASE: {"GET": get_base},
    Kind.CATALOG: {"GET": v2_lists.get_catalog},
    Kind.TAGS: {"GET": v2_lists.get_tags},
    Kind.REFERRERS: {"GET": v2_lists.get_referrers},
    Kind.MANIFEST: {
        "GET": v2_manifests.get_manifest,
        "PUT": v2_manifests.put_manifest,
        "DELETE": v2_manifests.delete_manifest,
    },
    Kind.BLOB: {"GET": v2_blobs.get_blob, "DELETE": v2_blobs.delete_blob},
    Kind.UPLOADS: {"POST": v2_uploads.post_uploads},
    Kind.UPLOAD: {
        "GET": v2_uploads.get_upload,
        "PATCH": v2_uploads.patch_upload,
        "PUT": v2_uploads.put_upload,
        "DELETE": v2_uploads.delete_upload,
    },
}
for _methods in HANDLERS.values():
    if "GET" in _methods:
        # The same work and the same headers; the body is left out where answers are sent.
        _methods["HEAD"] = _methods["GET"]


async def answer(hub: Hub, request: Request) -> Response:
    """Let the handler answer that is there for this; raise what it raises."""
    route = parse_path(request.path)
    if route is None:
        return not_found(request.path)
    request.route = route
    if hub.rights.open_to_all:
        return await _handle(hub, request)
    try:
        request.actor = await authentication.identify(hub, request)
        return await _handle(hub, request)
    except (Unauthenticated, Denied) as error:
        # Docker takes an error of the usual words without a detail for one that passes, and tries for a minute.
        error.detail = detail_scopes(authentication.wanted(request))
        response = refuse(error)
        if isinstance(error, Unauthenticated):
            response.headers += authentication.challenges(hub, request, error)
        return response


async def _handle(hub: Hub, request: Request) -> Response:
    methods = HANDLERS[request.route.kind]
    handler = methods.get(request.method)
    if handler is None:
        return not_allowed(request.method, sorted(methods))
    try:
        return await handler(hub.content, request)
    except Unsupported as error:
        response = refuse(error)
        response.headers.append(allow([method for method in sorted(methods) if method != request.method]))
        return response
