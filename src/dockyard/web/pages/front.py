"""The first page: what this is, and how to push to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from dockyard.web.pages.visit import Visit

ABOUT = "This is a dockyard hub, a container registry. Push to it: dockyard push {host}/YOU/NAME:TAG\n"


async def show(visit: Visit) -> Response:
    """A page for browsers; a line of text for all else."""
    if not visit.wants_html:
        return PlainTextResponse(ABOUT.format(host=visit.host))
    begun = visit.actor is not None or await visit.hub.accounts.has_administrator()
    return visit.page("front", begun=begun)
