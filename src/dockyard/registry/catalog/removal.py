"""Removing a repository: what goes with it, and the row that stays under a name that nobody can use.

The row stays so that its id is never given to another one, and because the records of its last changes may not be
stored yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from dockyard.registry.account_schema import account_grants, team_grants
from dockyard.registry.schema import edges, links, manifests, pulls, pushes, repositories, tag_history, tags, uploads

if TYPE_CHECKING:
    from sqlalchemy import Connection

_EMPTIED = (
    tags,
    tag_history,
    edges,
    manifests,
    links,
    uploads,
    pulls,
    pushes,
    team_grants,
    account_grants,
)
"""The tables that say something of a repository, each before those that it refers to."""


def remove(connection: Connection, repository: int, at: int) -> None:
    """Take all that the repository has, its name and its description. Blobs stay for the collection."""
    for table in _EMPTIED:
        connection.execute(delete(table).where(table.c.repository == repository))
    values = {"name": f"#{repository}", "removed": at, "private": True, "description": ""}
    connection.execute(update(repositories).where(repositories.c.id == repository).values(values))


def make_way(connection: Connection, repository: int, name: str, at: int) -> None:
    """Remove the other repository of this name: a journal that knows both lost the removal's record."""
    query = select(repositories.c.id).where(repositories.c.name == name, repositories.c.id != repository)
    for other in connection.scalars(query).all():
        remove(connection, other, at)
