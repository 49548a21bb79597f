"""Short ways to have accounts in a hub's domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from dockyard.registry.account_schema import audit
from dockyard.registry.catalog import accounts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub
    from dockyard.registry.profiles import NewSession


PASSWORD = "correct horse battery"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


async def make_user(hub: Hub, name: str, *, administrator: bool = False, password: str | None = None) -> Actor:
    """A new user, who has no password unless one is given, as who is signed in to the pages acts."""
    made = await hub.content.database.write(
        accounts.create,
        name,
        kind="user",
        now=int(hub.clock() * 1000),
        claim=True,
        administrator=administrator,
        password=None if password is None else await hub.passwords.hash(password),
    )
    actor = await hub.rights.actor(made, address=HERE)
    assert actor is not None
    return actor


async def sign_in(
    hub: Hub, name: str = "ada", password: str = PASSWORD, code: str | None = None, *, address: str = HERE
) -> NewSession:
    """A browser's sign-in."""
    return await hub.sessions.sign_in(name, password, code, address=address, agent="a browser")


async def audited(hub: Hub) -> list[tuple[str, str, str]]:
    """Who did what to what, the oldest first."""

    def rows(connection: Connection) -> list[tuple[str, str, str]]:
        query = select(audit.c.actor_name, audit.c.action, audit.c.target).order_by(audit.c.id)
        return [tuple(row) for row in connection.execute(query)]

    return await hub.content.database.read(rows)
