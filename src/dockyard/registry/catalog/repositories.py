"""Namespaces and repositories: their names, and ids that are never reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from dockyard.registry.catalog.conflicts import insert_new
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from dockyard.oci.reference import RepositoryName


def find(connection: Connection, name: RepositoryName) -> int | None:
    """The id of the repository, if it has one."""
    return connection.scalar(select(repositories.c.id).where(repositories.c.name == name))


def ensure(connection: Connection, name: RepositoryName, now: int) -> int:
    """The id of the repository, which is made where there is none."""
    known = find(connection, name)
    if known is not None:
        return known
    namespace = None
    first, slash, _ = name.partition("/")
    if slash:
        insert_new(connection, namespaces, {"name": first, "created": now})
        namespace = connection.scalar(select(namespaces.c.id).where(namespaces.c.name == first))
    row = {"namespace": namespace, "name": name, "created": now, "revision": 0}
    made: int = connection.scalars(insert(repositories).returning(repositories.c.id), row).one()
    return made


def restore(
    connection: Connection, *, id: int, name: str, created: int, namespace: int | None, namespace_created: int
) -> None:
    """Bring a repository and its namespace back under the ids they had; already there is fine."""
    if namespace is not None:
        row = {"id": namespace, "name": name.partition("/")[0], "created": namespace_created}
        insert_new(connection, namespaces, row)
    row = {"id": id, "namespace": namespace, "name": name, "created": created, "revision": 0}
    insert_new(connection, repositories, row)


def describe(connection: Connection, id: int) -> Row[str, int, int | None, int | None]:
    """Name, time of making, namespace and the namespace's time of making."""
    columns = (repositories.c.name, repositories.c.created, repositories.c.namespace, namespaces.c.created)
    query = select(*columns).select_from(repositories).outerjoin(namespaces).where(repositories.c.id == id)
    return connection.execute(query).one()


def next_revision(connection: Connection, id: int) -> int:
    """Count one change of the repository."""
    raised = update(repositories).where(repositories.c.id == id).values(revision=repositories.c.revision + 1)
    revision: int = connection.scalars(raised.returning(repositories.c.revision)).one()
    return revision


def set_revision(connection: Connection, id: int, revision: int) -> None:
    """Say which change of the repository was the last."""
    connection.execute(update(repositories).where(repositories.c.id == id).values(revision=revision))


def was_pushed_to(connection: Connection, name: RepositoryName) -> bool:
    """Whether there ever was a manifest in the repository."""
    return bool(connection.scalar(select(repositories.c.revision).where(repositories.c.name == name)))


def names(connection: Connection, *, after: str, limit: int) -> list[str]:
    """Names in order of the repositories that something was pushed to, those after ``after``."""
    query = select(repositories.c.name).where(repositories.c.name > after, repositories.c.revision > 0)
    return list(connection.scalars(query.order_by(repositories.c.name).limit(limit)))


def check(connection: Connection) -> None:
    """Raise, as every function here would, when nothing can be written."""
    connection.execute(update(repositories).where(repositories.c.id == 0).values(revision=0))
