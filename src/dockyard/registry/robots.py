"""The hub's verbs over robots: accounts of machines, which push to and pull from repositories of one namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Invalid
from dockyard.registry.access import ROBOT_SCOPES, Action
from dockyard.registry.catalog import robots
from dockyard.registry.names import check_team_name
from dockyard.registry.profiles import NewRobot
from dockyard.registry.repositories import check_right
from dockyard.registry.tokens import check_life, hashed, make_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor, Right
    from dockyard.registry.database import Database
    from dockyard.registry.profiles import Robot
    from dockyard.registry.rights import Rights


class Robots:
    """The robots of a hub. Each verb raises NameUnknown for what is not there or not to be seen, and Denied."""

    def __init__(self, database: Database, rights: Rights, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock

    async def create(
        self,
        actor: Actor,
        namespace: str,
        name: str,
        grants: Mapping[RepositoryName, Right],
        *,
        expires_in: int | None = None,
    ) -> NewRobot:
        """Make a robot that logs in as ``NAMESPACE+NAME`` and has these rights and no other.

        ``expires_in`` is in seconds. NameInvalid, Invalid; Conflict where there is one.
        """
        await self._rights.require_account(actor, Action.MANAGE, namespace)
        check_team_name(name)
        check_life(expires_in, "robot")
        for repository, right in grants.items():
            check_right(right)
            if not repository.startswith(f"{namespace}/"):
                raise Invalid(f"{repository} is not in the namespace {namespace}: its robots work there only")
            await self._rights.require(actor, Action.CONFIGURE, repository)
        now, secret = int(self._clock() * 1000), make_secret("robot")
        robot = await self._database.write(
            robots.create,
            actor,
            namespace,
            name,
            grants,
            hash=hashed(secret),
            scopes=[scope.value for scope in ROBOT_SCOPES],
            expires=None if expires_in is None else now + expires_in * 1000,
            now=now,
        )
        return NewRobot(robot, secret)

    async def list(self, actor: Actor, namespace: str) -> tuple[Robot, ...]:
        """The namespace's robots by name."""
        await self._rights.require_account(actor, Action.INSPECT, namespace)
        return tuple(await self._database.read(robots.of, namespace))

    async def remove(self, actor: Actor, full_name: str) -> None:
        """Take the robot ``NAMESPACE+NAME`` away."""
        namespace = full_name.partition("+")[0]
        await self._rights.require_account(actor, Action.MANAGE, namespace)
        await self._database.write(robots.remove, actor, namespace, full_name, now=int(self._clock() * 1000))
