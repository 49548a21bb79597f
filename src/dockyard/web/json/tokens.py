"""Personal access tokens, and the logins that clients keep."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from dockyard.errors import Denied, NotFound
from dockyard.registry.access import Scope
from dockyard.registry.profiles import NewToken, PersonalToken, ScopeName
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import Seconds, TokenName


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a token is to be good for; ``read`` is part of all others."""

    name: TokenName
    scopes: Annotated[list[ScopeName], Meta(min_length=1, max_length=4)]
    expires_in: Seconds | None = None


@endpoint("GET", "/account/tokens", "The own tokens and logins", Denied)
async def get_tokens(ask: Ask) -> Listing[PersonalToken]:
    """Answer with all of them, without their secrets."""
    return Listing(list(await ask.hub.tokens.all(ask.actor)))


@endpoint("POST", "/account/tokens", "Make a token; its secret is shown this once", Denied, status=201)
async def post_token(ask: Ask, body: TokenRequest) -> NewToken:
    """Make it."""
    scopes = [Scope(name) for name in body.scopes]
    return await ask.hub.tokens.create(ask.actor, body.name, scopes, expires_in=body.expires_in)


@endpoint("DELETE", "/account/tokens/{id}", "Revoke a token or login", Denied, NotFound)
async def delete_token(ask: Ask, id: int) -> None:
    """Revoke it."""
    await ask.hub.tokens.revoke(ask.actor, id)
