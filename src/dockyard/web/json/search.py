"""Search among repositories."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dockyard.registry.profiles import Repository
from dockyard.web.json.endpoint import Ask, Listing, endpoint, listing
from dockyard.web.json.fields import Line, Paging


class SearchQuery(Paging, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for in names and descriptions; upper and lower case are the same."""

    q: Annotated[Line, Meta(description="what to look for in names and descriptions")]


@endpoint("GET", "/search", "Repositories that one may see whose name or description has a text in it", public=True)
async def search(ask: Ask, query: SearchQuery) -> Listing[Repository]:
    """Answer with a page of them."""
    page = await ask.hub.repositories.search(ask.actor, query.q, after=query.after, limit=query.n)
    return listing(page, lambda found: found.name)
