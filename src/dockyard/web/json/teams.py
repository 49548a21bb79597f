"""Teams of organisations: members, and rights on repositories."""

from __future__ import annotations

from msgspec import Struct

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import Right
from dockyard.registry.profiles import Grant, Member, RightName, Team
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import Name


class NewTeam(Struct, frozen=True, forbid_unknown_fields=True):
    """A team to make."""

    name: Name


class Granted(Struct, frozen=True, forbid_unknown_fields=True):
    """A right; each holds those before it."""

    right: RightName

    @property
    def value(self) -> Right:
        """The right that this names."""
        return Right[self.right.upper()]


@endpoint("GET", "/orgs/{org}/teams", "The teams of an organisation", Denied, NotFound)
async def get_teams(ask: Ask, org: str) -> Listing[Team]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.teams.all(ask.actor, org)))


@endpoint("POST", "/orgs/{org}/teams", "Make a team", Denied, NotFound, Conflict, status=201,
          location="/orgs/{organisation}/teams/{name}")  # fmt: skip
async def post_team(ask: Ask, org: str, body: NewTeam) -> Team:
    """Make it."""
    return await ask.hub.teams.create(ask.actor, org, body.name)


@endpoint("GET", "/orgs/{org}/teams/{team}", "A team", Denied, NotFound)
async def get_team(ask: Ask, org: str, team: str) -> Team:
    """Answer with it."""
    return await ask.hub.teams.get(ask.actor, org, team)


@endpoint("DELETE", "/orgs/{org}/teams/{team}", "Remove a team and what it gave", Denied, NotFound)
async def delete_team(ask: Ask, org: str, team: str) -> None:
    """Remove it."""
    await ask.hub.teams.remove(ask.actor, org, team)


@endpoint("GET", "/orgs/{org}/teams/{team}/members", "The members of a team", Denied, NotFound)
async def get_members(ask: Ask, org: str, team: str) -> Listing[Member]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.teams.members(ask.actor, org, team)))


@endpoint("PUT", "/orgs/{org}/teams/{team}/members/{user}", "Take a member of the organisation into a team", Denied,
          NotFound, Conflict)  # fmt: skip
async def put_member(ask: Ask, org: str, team: str, user: str) -> None:
    """Take them in."""
    await ask.hub.teams.add(ask.actor, org, team, user)


@endpoint("DELETE", "/orgs/{org}/teams/{team}/members/{user}", "Take somebody out of a team", Denied, NotFound)
async def delete_member(ask: Ask, org: str, team: str, user: str) -> None:
    """Let them go."""
    await ask.hub.teams.remove_member(ask.actor, org, team, user)


@endpoint("GET", "/orgs/{org}/teams/{team}/repositories", "What a team may do where", Denied, NotFound)
async def get_grants(ask: Ask, org: str, team: str) -> Listing[Grant]:
    """Answer with all its rights."""
    return Listing(list(await ask.hub.teams.grants(ask.actor, org, team)))


@endpoint("PUT", "/orgs/{org}/teams/{team}/repositories/{repo}", "Give a team a right on a repository", Denied,
          NotFound, Conflict)  # fmt: skip
async def put_grant(ask: Ask, org: str, team: str, repo: RepositoryName, body: Granted) -> None:
    """Give it, instead of one that it may have had."""
    await ask.hub.teams.grant(ask.actor, org, team, repo, body.value)


@endpoint("DELETE", "/orgs/{org}/teams/{team}/repositories/{repo}", "Take a team's right on a repository", Denied,
          NotFound)  # fmt: skip
async def delete_grant(ask: Ask, org: str, team: str, repo: RepositoryName) -> None:
    """Take it."""
    await ask.hub.teams.revoke(ask.actor, org, team, repo)
