"""What only one process does at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, update

from dockyard.registry.catalog.conflicts import insert_new
from dockyard.registry.schema import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection


def take(connection: Connection, name: str, holder: str, *, now: int, until: int) -> bool:
    """Take or renew the lease ``name``; ``False`` while another holds it."""
    renewed = update(leases).where(leases.c.name == name, or_(leases.c.holder == holder, leases.c.expires <= now))
    if connection.execute(renewed.values(holder=holder, expires=until)).rowcount:
        return True
    return insert_new(connection, leases, {"name": name, "holder": holder, "expires": until}) == 1


def release(connection: Connection, name: str, holder: str) -> None:
    """Give the lease back; held by another is fine."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
