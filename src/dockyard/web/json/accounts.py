"""What everybody may see of users and organisations."""

from __future__ import annotations

from dockyard.errors import NotFound
from dockyard.registry.profiles import Profile
from dockyard.web.json.endpoint import Ask, endpoint


@endpoint("GET", "/accounts/{account}", "A user or organisation", NotFound, public=True)
async def get_account(ask: Ask, account: str) -> Profile:
    """Answer with its profile."""
    return await ask.hub.accounts.profile(ask.actor, account)
