"""Short ways to have accounts in a hub's domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.registry.catalog import accounts

if TYPE_CHECKING:
    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub


async def make_user(hub: Hub, name: str, *, administrator: bool = False) -> Actor:
    """A new user without a password, as who is signed in to the pages acts."""
    made = await hub.content.database.write(
        accounts.create, name, kind="user", now=int(hub.clock() * 1000), claim=True, administrator=administrator
    )
    actor = await hub.rights.actor(made, address="192.0.2.1")
    assert actor is not None
    return actor
