"""Lists: repositories, tags of one, and what refers to a manifest.

Source: OCI distribution specification, section "Content Discovery".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from dockyard.errors import PageInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.media_types import OCI_INDEX
from dockyard.web.messages import Response
from dockyard.web.refusals import JSON

if TYPE_CHECKING:
    from dockyard.registry.content import Page, Registry
    from dockyard.web.messages import Request

MAX_PAGE = 10_000
"""Names in one answer, also where the client asks for more or for all; Link leads to the rest."""


async def get_tags(registry: Registry, request: Request) -> Response:
    """``GET /v2/<name>/tags/list?n=&last=``."""
    name, limit = request.route.repository, _limit(request)
    page = await registry.tags(request.actor, name, after=request.query("last") or "", limit=limit)
    return _page(f"/v2/{name}/tags/list", page, limit, {"name": name, "tags": page.items})


async def get_catalog(registry: Registry, request: Request) -> Response:
    """``GET /v2/_catalog?n=&last=``."""
    limit = _limit(request)
    page = await registry.repositories(request.actor, after=request.query("last") or "", limit=limit)
    return _page("/v2/_catalog", page, limit, {"repositories": page.items})


async def get_referrers(registry: Registry, request: Request) -> Response:
    """``GET /v2/<name>/referrers/<digest>?artifactType=``; a manifest that nobody knows has none."""
    # A plus in a query is a space, and yet clients send application/spdx+json as it is; no type has a space.
    wanted = (request.query("artifactType") or "").replace(" ", "+") or None
    subject = Digest.parse(request.route.rest)
    page = await registry.referrers(
        request.actor, request.route.repository, subject, artifact_type=wanted, after=request.query("last") or ""
    )
    headers = [(b"content-type", OCI_INDEX.encode())]
    if wanted:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if page.after:
        query = ({"artifactType": wanted} if wanted else {}) | {"last": page.after}
        headers.append(_next(f"/v2/{request.route.repository}/referrers/{subject}", query))
    return Response(200, headers, page.raw)


def _limit(request: Request) -> int:
    text = request.query("n")
    if text is None:
        return MAX_PAGE
    if not (text.isascii() and text.isdecimal()):
        raise PageInvalid(f"n={text[:40]!r} is not a number of entries")
    return MAX_PAGE if len(text) > 18 else min(int(text), MAX_PAGE)


def _page(path: str, page: Page[str], limit: int, fields: dict[str, object]) -> Response:
    response = Response(200, [JSON], msgspec.json.encode(fields))
    if page.more:
        response.headers.append(_next(path, {"n": str(limit), "last": page.items[-1]}))
    return response


def _next(path: str, query: dict[str, str]) -> tuple[bytes, bytes]:
    return b"link", f'<{path}?{urlencode(query)}>; rel="next"'.encode()
