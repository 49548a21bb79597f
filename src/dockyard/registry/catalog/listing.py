"""Lists of repositories, each with what the asker has there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, update

from dockyard.errors import Conflict, Invalid, NameUnknown
from dockyard.registry.access import right_at
from dockyard.registry.catalog import access, audit
from dockyard.registry.catalog import repositories as repositories_of
from dockyard.registry.profiles import Repository, moment, moment_or_none, right_name
from dockyard.registry.schema import changes, namespaces, repositories, tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Connection, Select

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor


def page(
    connection: Connection,
    actor: Actor,
    *,
    namespace: str | None = None,
    text: str = "",
    described: bool = False,
    after: str,
    limit: int,
) -> list[Repository]:
    """The repositories that the actor may read, by name, those after ``after``.

    ``text`` is in their names or, with ``described``, in their descriptions; its case does not count.
    """
    query = _query(actor).where(repositories.c.name > after)
    if namespace is not None:
        query = query.where(namespaces.c.name == namespace)
    if text:
        named = repositories.c.name.icontains(text, autoescape=True)
        inside = repositories.c.description.icontains(text, autoescape=True)
        query = query.where(or_(named, inside) if described else named)
    return [_shown(actor, row) for row in connection.execute(query.order_by(repositories.c.name).limit(limit))]


def find(connection: Connection, actor: Actor, name: RepositoryName) -> Repository:
    """One of those. NameUnknown."""
    row = connection.execute(_query(actor).where(repositories.c.name == name)).one_or_none()
    if row is None:
        raise NameUnknown(f"there is no repository {name}")
    return _shown(actor, row)


def create(
    connection: Connection, actor: Actor, name: RepositoryName, *, private: bool | None, description: str, now: int
) -> Repository:
    """Make a repository; ``private=None``: as its namespace's account wants it. Conflict, Invalid."""
    if repositories_of.find(connection, name) is not None:
        raise Conflict(f"there is a repository {name} already")
    if private is not None:
        _check_private(connection, name, private)
    repositories_of.make(connection, name, actor, now, private=private, description=description)
    return find(connection, actor, name)


def configure(
    connection: Connection,
    actor: Actor,
    name: RepositoryName,
    *,
    private: bool | None,
    description: str | None,
    now: int,
) -> Repository:
    """Change what is not ``None``. NameUnknown, Invalid."""
    known = connection.execute(select(repositories).where(repositories.c.name == name)).one_or_none()
    if known is None:
        raise NameUnknown(f"there is no repository {name}")
    asked = {"private": private, "description": description}
    values = {key: value for key, value in asked.items() if value is not None and value != known._mapping[key]}
    if private is not None:
        _check_private(connection, name, private)
    if values:
        connection.execute(update(repositories).where(repositories.c.id == known.id).values(values))
        if "private" in values:
            access.raise_version(connection)
        audit.note_at(connection, actor, "repository.configure", known.id, now=now, detail=values)
    return find(connection, actor, name)


def _check_private(connection: Connection, name: RepositoryName, private: bool) -> None:
    first, slash, _ = name.partition("/")
    if private and not slash:
        raise Invalid(f"{name} can't be private: repositories with a name of one part are public")
    account = select(namespaces.c.account).where(namespaces.c.name == first)
    if slash and not private and connection.scalar(account) is None:
        raise Invalid(
            f"{name} can't be public: its namespace has no account",
            hint=f"Make the user or organisation {first} first.",
        )


def _query(actor: Actor) -> Select[Any]:
    last = select(changes.c.at).where(
        changes.c.repository == repositories.c.id, changes.c.revision == repositories.c.revision
    )
    tagged = select(func.count()).where(tags.c.repository == repositories.c.id)
    columns = (repositories.c.name, repositories.c.description, repositories.c.created)
    return (
        select(*columns, last.scalar_subquery(), tagged.scalar_subquery(), *access.place_columns(actor.id))
        .select_from(repositories)
        .outerjoin(namespaces, namespaces.c.id == repositories.c.namespace)
        .where(access.readable(actor))
    )


def _shown(actor: Actor, row: Sequence[Any]) -> Repository:
    name, description, created, pushed, tagged, *columns = row
    place = access.make_place(actor.id, name, columns)
    return Repository(
        name=name,
        private=place.private and not place.official,
        description=description,
        created=moment(created),
        pushed=moment_or_none(pushed),
        tags=tagged,
        right=right_name(right_at(actor, place)),
    )
