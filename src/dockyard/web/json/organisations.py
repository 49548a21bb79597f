"""Organisations and their members."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.registry.profiles import Member, Organisation
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import FullName, Name, given


class NewOrganisation(Struct, frozen=True, forbid_unknown_fields=True):
    """An organisation to make; who makes it is its first owner."""

    name: Name
    full_name: FullName = ""


class OrganisationChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    full_name: FullName | UnsetType = UNSET
    default_private: bool | UnsetType = UNSET


class Membership(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody is in an organisation."""

    owner: bool = False


@endpoint("GET", "/orgs", "The organisations that one is a member of", Denied)
async def get_organisations(ask: Ask) -> Listing[Organisation]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.organisations.mine(ask.actor)))


@endpoint("POST", "/orgs", "Make an organisation", Denied, Conflict, status=201, location="/orgs/{name}")
async def post_organisation(ask: Ask, body: NewOrganisation) -> Organisation:
    """Make it."""
    return await ask.hub.organisations.create(ask.actor, body.name, full_name=body.full_name)


@endpoint("GET", "/orgs/{org}", "An organisation that one is in", Denied, NotFound)
async def get_organisation(ask: Ask, org: str) -> Organisation:
    """Answer with it."""
    return await ask.hub.organisations.get(ask.actor, org)


@endpoint("PATCH", "/orgs/{org}", "Change settings of an organisation", Denied, NotFound)
async def patch_organisation(ask: Ask, org: str, body: OrganisationChange) -> Organisation:
    """Change what the body has."""
    return await ask.hub.organisations.configure(ask.actor, org, **given(body))


@endpoint("DELETE", "/orgs/{org}", "Remove an organisation that has no repositories", Denied, NotFound, Conflict)
async def delete_organisation(ask: Ask, org: str) -> None:
    """Remove it."""
    await ask.hub.organisations.remove(ask.actor, org)


@endpoint("GET", "/orgs/{org}/members", "The members of an organisation", Denied, NotFound)
async def get_members(ask: Ask, org: str) -> Listing[Member]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.organisations.members(ask.actor, org)))


@endpoint("PUT", "/orgs/{org}/members/{user}", "Make somebody a member or owner", Denied, NotFound, Conflict)
async def put_member(ask: Ask, org: str, user: str, body: Membership) -> None:
    """Take them in, or change what they are."""
    await ask.hub.organisations.set_member(ask.actor, org, user, owner=body.owner)


@endpoint("DELETE", "/orgs/{org}/members/{user}", "Remove a member, also from its teams; anybody may leave", Denied,
          NotFound, Conflict)  # fmt: skip
async def delete_member(ask: Ask, org: str, user: str) -> None:
    """Let them go."""
    await ask.hub.organisations.remove_member(ask.actor, org, user)
