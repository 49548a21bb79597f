"""All users of the hub, for its administrators."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.registry.profiles import User
from dockyard.web.json.endpoint import Ask, Listing, endpoint, listing
from dockyard.web.json.fields import Email, FullName, Name, NewSecret, Paging, given


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """A user to make; without a password they can't log in until they have one."""

    name: Name
    password: NewSecret | None = None
    administrator: bool = False
    full_name: FullName = ""
    email: Email = ""


class UserChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    administrator: bool | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """A password that somebody else is to have."""

    password: NewSecret


@endpoint("GET", "/users", "All users, by name", Denied)
async def get_users(ask: Ask, query: Paging) -> Listing[User]:
    """Answer with a page of them."""
    page = await ask.hub.accounts.users(ask.actor, after=query.after, limit=query.n)
    return listing(page, lambda user: user.name)


@endpoint("POST", "/users", "Make a user", Denied, Conflict, status=201, location="/accounts/{name}")
async def post_user(ask: Ask, body: NewUser) -> User:
    """Make them."""
    return await ask.hub.accounts.create(
        ask.actor,
        body.name,
        body.password,
        administrator=body.administrator,
        full_name=body.full_name,
        email=body.email,
    )


@endpoint("PATCH", "/users/{user}", "Block a user, or make them an administrator; or take that back", Denied,
          NotFound, Conflict)  # fmt: skip
async def patch_user(ask: Ask, user: str, body: UserChange) -> User:
    """Change what the body has."""
    return await ask.hub.accounts.change(ask.actor, user, **given(body))


@endpoint("PUT", "/users/{user}/password", "Set a user's password; the second factor is off then", Denied, NotFound,
          Conflict)  # fmt: skip
async def put_password(ask: Ask, user: str, body: NewPassword) -> None:
    """Set it."""
    await ask.hub.accounts.set_password(ask.actor, user, body.password)


@endpoint("DELETE", "/users/{user}", "Remove a user; their repositories are the administrators' then", Denied,
          NotFound, Conflict)  # fmt: skip
async def delete_user(ask: Ask, user: str) -> None:
    """Remove them."""
    await ask.hub.accounts.remove(ask.actor, user)
