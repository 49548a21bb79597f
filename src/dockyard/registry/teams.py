"""The hub's verbs over the teams of organisations. Members see them, owners make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.registry.access import Action
from dockyard.registry.catalog import teams
from dockyard.registry.names import check_team_name
from dockyard.registry.repositories import check_right

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor, Right
    from dockyard.registry.database import Database
    from dockyard.registry.profiles import Grant, Member, Team
    from dockyard.registry.rights import Rights


class Teams:
    """The teams of a hub. Each verb raises NameUnknown for what is not there or not to be seen, and Denied."""

    def __init__(self, database: Database, rights: Rights, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock

    async def all(self, actor: Actor, organisation: str) -> list[Team]:
        """The organisation's teams by name; of their repositories those count that the actor may read."""
        await self._require(actor, Action.VIEW, organisation)
        return await self._database.read(teams.of, actor, organisation)

    async def get(self, actor: Actor, organisation: str, team: str) -> Team:
        """One team."""
        await self._require(actor, Action.VIEW, organisation)
        return await self._database.read(teams.find, actor, organisation, team)

    async def create(self, actor: Actor, organisation: str, team: str) -> Team:
        """Make a team that has nobody and nothing. NameInvalid; Conflict where there is one."""
        await self._require(actor, Action.MANAGE, organisation)
        check_team_name(team)
        return await self._database.write(teams.create, actor, organisation, team, now=self._now())

    async def remove(self, actor: Actor, organisation: str, team: str) -> None:
        """Take a team away, and the rights that it gave."""
        await self._require(actor, Action.MANAGE, organisation)
        await self._database.write(teams.remove, actor, organisation, team, now=self._now())

    async def members(self, actor: Actor, organisation: str, team: str) -> list[Member]:
        """Who is in the team, by name."""
        await self._require(actor, Action.VIEW, organisation)
        return await self._database.read(teams.members, organisation, team)

    async def add(self, actor: Actor, organisation: str, team: str, user: str) -> None:
        """Let a member of the organisation be in the team. Conflict for who is no member."""
        await self._require(actor, Action.MANAGE, organisation)
        await self._database.write(teams.add, actor, organisation, team, user, now=self._now())

    async def remove_member(self, actor: Actor, organisation: str, team: str, user: str) -> None:
        """Take a user out of the team."""
        await self._require(actor, Action.MANAGE, organisation)
        await self._database.write(teams.remove_member, actor, organisation, team, user, now=self._now())

    async def grants(self, actor: Actor, organisation: str, team: str) -> list[Grant]:
        """The team's rights, by repository, on those repositories that the actor may read."""
        await self._require(actor, Action.VIEW, organisation)
        return await self._database.read(teams.grants, actor, organisation, team)

    async def grant(
        self, actor: Actor, organisation: str, team: str, repository: RepositoryName, right: Right
    ) -> Grant:
        """Give the team a right on a repository of the organisation in place of the one it had. Invalid."""
        await self._require(actor, Action.MANAGE, organisation)
        check_right(right)
        return await self._database.write(teams.grant, actor, organisation, team, repository, right, now=self._now())

    async def revoke(self, actor: Actor, organisation: str, team: str, repository: RepositoryName) -> None:
        """Take the team's right on a repository away."""
        await self._require(actor, Action.MANAGE, organisation)
        await self._database.write(teams.revoke, actor, organisation, team, repository, now=self._now())

    async def _require(self, actor: Actor, action: Action, organisation: str) -> None:
        await self._rights.require_account(actor, action, organisation, "organisation")

    def _now(self) -> int:
        return int(self._clock() * 1000)
