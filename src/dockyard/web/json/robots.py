"""Robot accounts: limited to repositories and rights."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.oci.reference import parse_repository
from dockyard.registry.access import Right
from dockyard.registry.names import check_team_name
from dockyard.registry.profiles import NewRobot, RightName, Robot
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import Name, RepositoryText, Seconds


class RobotQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose robots."""

    namespace: Name


class RobotGrant(Struct, frozen=True, forbid_unknown_fields=True):
    """A right of a robot on a repository of its namespace."""

    repository: RepositoryText
    right: RightName


class RobotRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A robot to make."""

    namespace: Name
    name: Name
    grants: Annotated[list[RobotGrant], Meta(max_length=100)]
    expires_in: Seconds | None = None


@endpoint("GET", "/robots", "The robots of a user or organisation", Denied, NotFound)
async def get_robots(ask: Ask, query: RobotQuery) -> Listing[Robot]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.robots.list(ask.actor, check_team_name(query.namespace))))


@endpoint("POST", "/robots", "Make a robot; its secret is shown this once", Denied, NotFound, Conflict, status=201)
async def post_robot(ask: Ask, body: RobotRequest) -> NewRobot:
    """Make it."""
    grants = {parse_repository(grant.repository): Right[grant.right.upper()] for grant in body.grants}
    namespace = check_team_name(body.namespace)
    return await ask.hub.robots.create(ask.actor, namespace, body.name, grants, expires_in=body.expires_in)


@endpoint("DELETE", "/robots/{robot}", "Remove a robot", Denied, NotFound)
async def delete_robot(ask: Ask, robot: str) -> None:
    """Remove it."""
    await ask.hub.robots.remove(ask.actor, robot)
