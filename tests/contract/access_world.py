"""A hub with somebody in every role, for the matrix of who may do what."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.config import ServeSettings
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ALL_SCOPES, Actor, Kind, Right, Scope
from dockyard.registry.hub import Hub as Domain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers import Hub

    from dockyard.registry.profiles import NewSession

PUBLIC, PRIVATE = RepositoryName("acme/public"), RepositoryName("acme/private")
ABSENT, OFFICIAL = RepositoryName("acme/absent"), RepositoryName("official")
RIGHTS = {"read": Right.READ, "write": Right.WRITE, "admin": Right.ADMIN}

ROLES: Mapping[str, Right] = {
    "administrator": Right.ADMIN,
    "owner": Right.ADMIN,
    "team-read": Right.READ,
    "team-write": Right.WRITE,
    "team-admin": Right.ADMIN,
    "collaborator-read": Right.READ,
    "collaborator-write": Right.WRITE,
    "collaborator-admin": Right.ADMIN,
    "robot-read": Right.READ,
    "robot-write": Right.WRITE,
    "robot-admin": Right.ADMIN,
    "member": Right.NONE,
    "stranger": Right.NONE,
}
"""Who → what they have on ``acme/public`` and ``acme/private`` beside what is public."""


@dataclass(frozen=True)
class World:
    """Secrets by role and scope: ``secrets["owner", "write"]``; robots have one, whatever the scope."""

    secrets: Mapping[tuple[str, str], str]
    names: Mapping[str, str]

    def basic(self, role: str, scope: str) -> dict[str, str]:
        """The header Authorization of a role with a token of that scope."""
        pair = f"{self.names[role]}:{self.secrets[role, scope]}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def people(server: Hub) -> World:
    """Make everybody on the running hub, from beside it."""
    domain = await Domain.open(ServeSettings(data=str(server.data), url=server.url))
    try:
        return await _people(domain, server)
    finally:
        await domain.close()


async def _people(domain: Domain, server: Hub) -> World:
    from dockyard.registry.accounts import SYSTEM

    names = {role: f"the-{role}" for role in ROLES}
    actors: dict[str, Actor] = {}
    for role, name in names.items():
        if not role.startswith("robot"):
            await domain.accounts.create(SYSTEM, name, None, administrator=role == "administrator")
            actors[role] = await _actor(domain, name)
    owner = actors["owner"]
    await domain.organisations.create(owner, "acme")
    for name, private in ((PUBLIC, False), (PRIVATE, True)):
        await domain.repositories.create(owner, name, private=private)
    await domain.repositories.create(actors["administrator"], OFFICIAL)
    await domain.organisations.set_member(owner, "acme", names["member"], owner=False)
    secrets: dict[tuple[str, str], str] = {}
    for name, right in RIGHTS.items():
        await domain.organisations.set_member(owner, "acme", names[f"team-{name}"], owner=False)
        await domain.teams.create(owner, "acme", f"{name}ers")
        await domain.teams.add(owner, "acme", f"{name}ers", names[f"team-{name}"])
        robot = await domain.robots.create(owner, "acme", f"robot-{name}", {PUBLIC: right, PRIVATE: right})
        names[f"robot-{name}"] = robot.robot.name
        for scope in Scope:
            secrets[f"robot-{name}", scope.value] = robot.secret
        for repository in (PUBLIC, PRIVATE):
            await domain.teams.grant(owner, "acme", f"{name}ers", repository, right)
            await domain.repositories.grant(owner, repository, names[f"collaborator-{name}"], right)
    for role, actor in actors.items():
        for scope in Scope:
            made = await domain.tokens.create(actor, f"matrix-{scope.value}", [scope], expires_in=3600)
            secrets[role, scope.value] = made.secret
    return World(secrets, names)


async def _actor(domain: Domain, name: str) -> Actor:
    from sqlalchemy import select

    from dockyard.registry.account_schema import accounts

    found = await domain.content.database.read(lambda c: c.scalar(select(accounts.c.id).where(accounts.c.name == name)))
    actor = await domain.rights.actor(found)
    assert actor is not None
    assert (actor.kind, actor.scopes) == (Kind.USER, ALL_SCOPES)
    return actor


async def sessions(server: Hub, world: World) -> dict[str, NewSession]:
    """Sign every user of the world in with a browser; each has a full name and an address that say whose they are."""
    domain = await Domain.open(ServeSettings(data=str(server.data), url=server.url))
    begun: dict[str, NewSession] = {}
    try:
        for role, name in world.names.items():
            if not role.startswith("robot"):
                actor = await _actor(domain, name)
                await domain.accounts.configure(actor, full_name=f"Full {name}", email=f"{name}@mail.example")
                begun[role] = await domain.sessions.begin(actor, agent=f"browser of {name}")
    finally:
        await domain.close()
    return begun
