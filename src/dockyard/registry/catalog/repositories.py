"""Namespaces and repositories: their names, and ids that are never reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from dockyard.errors import NameUnknown
from dockyard.registry import access as rules
from dockyard.registry.access import Action
from dockyard.registry.account_schema import accounts
from dockyard.registry.catalog import access, audit
from dockyard.registry.catalog.conflicts import insert_new
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor


def find(connection: Connection, name: RepositoryName) -> int | None:
    """The id of the repository, if it has one."""
    return connection.scalar(select(repositories.c.id).where(repositories.c.name == name))


def known(connection: Connection, name: RepositoryName) -> int:
    """The id of the repository. NameUnknown."""
    found = find(connection, name)
    if found is None:
        raise NameUnknown(f"there is no repository {name}")
    return found


def ensure(connection: Connection, name: RepositoryName, actor: Actor, now: int) -> int:
    """The id of the repository, which is made where there is none, as its namespace's account wants new ones."""
    there = find(connection, name)
    if there is not None:
        return there
    # It may have been there when the actor was let in by a right on it, and have been removed since.
    rules.require(actor, Action.PUSH, access.place(connection, actor.id, name))
    return make(connection, name, actor, now)


def make(
    connection: Connection,
    name: RepositoryName,
    actor: Actor,
    now: int,
    *,
    private: bool | None = None,
    description: str = "",
) -> int:
    """Make a repository that is not there; return its id. ``private=None``: as its namespace's account wants it."""
    namespace = account = None
    first, slash, _ = name.partition("/")
    if slash:
        insert_new(connection, namespaces, {"name": first, "created": now})
        columns = (namespaces.c.id, namespaces.c.account, accounts.c.default_private)
        query = select(*columns).select_from(namespaces).outerjoin(accounts, accounts.c.id == namespaces.c.account)
        namespace, account, default = connection.execute(query.where(namespaces.c.name == first)).one()
        private = default is not False if private is None else private
    row = {"namespace": namespace, "name": name, "created": now, "revision": 0}
    row |= {"private": bool(private), "description": description}
    made: int = connection.scalars(insert(repositories).returning(repositories.c.id), row).one()
    access.raise_version(connection)
    detail = {"private": bool(private)}
    audit.note(connection, actor, "repository.create", name, account=account, now=now, detail=detail)
    return made


def restore(
    connection: Connection, *, id: int, name: str, created: int, namespace: int | None, namespace_created: int
) -> None:
    """Bring a repository and its namespace back under the ids they had; already there is fine."""
    if namespace is not None:
        row = {"id": namespace, "name": name.partition("/")[0], "created": namespace_created}
        insert_new(connection, namespaces, row)
    row = {"id": id, "namespace": namespace, "name": name, "created": created, "revision": 0}
    insert_new(connection, repositories, row | {"private": namespace is not None, "description": ""})


def describe(connection: Connection, id: int) -> Row[str, int, int | None, int | None, int | None]:
    """Name, time of making, namespace, the namespace's time of making and its account."""
    columns = (repositories.c.name, repositories.c.created, repositories.c.namespace)
    query = (
        select(*columns, namespaces.c.created, namespaces.c.account)
        .select_from(repositories)
        .outerjoin(namespaces)
        .where(repositories.c.id == id)
    )
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


def names(connection: Connection, actor: Actor, *, after: str, limit: int) -> list[str]:
    """Names in order of the repositories that the actor may read and something was pushed to, after ``after``."""
    query = select(repositories.c.name).where(repositories.c.name > after, repositories.c.revision > 0)
    return list(connection.scalars(query.where(access.readable(actor)).order_by(repositories.c.name).limit(limit)))


def check(connection: Connection) -> None:
    """Raise, as every function here would, when nothing can be written."""
    connection.execute(update(repositories).where(repositories.c.id == 0).values(revision=0))
