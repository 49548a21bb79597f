"""Robots: accounts of machines, each of one namespace and with rights on some of its repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from dockyard.errors import Conflict, NameUnknown
from dockyard.registry.account_schema import account_grants, accounts, tokens
from dockyard.registry.catalog import access, audit
from dockyard.registry.catalog import accounts as accounts_of
from dockyard.registry.catalog import repositories as repositories_of
from dockyard.registry.catalog import tokens as tokens_of
from dockyard.registry.profiles import Grant, Robot, moment, moment_or_none, right_name
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor, Right


def create(
    connection: Connection,
    actor: Actor,
    namespace: str,
    name: str,
    grants: Mapping[RepositoryName, Right],
    *,
    hash: str,
    scopes: Iterable[str],
    expires: int | None,
    now: int,
) -> Robot:
    """Make a robot of the namespace's account, with a secret that has this hash. NameUnknown, Conflict."""
    owner = _owner(connection, namespace)
    full = f"{namespace}+{name}"
    if connection.scalar(select(accounts.c.id).where(accounts.c.name == full)) is not None:
        raise Conflict(f"there is a robot {full} already")
    made = accounts_of.add(connection, "robot", full, now, owner=owner)
    rights = [
        {"repository": repositories_of.known(connection, repository), "account": made, "right": int(right)}
        for repository, right in sorted(grants.items())
    ]
    if rights:
        connection.execute(insert(account_grants), rights)
    tokens_of.add(connection, made, "robot", full, hash, scopes, now, expires)
    access.raise_version(connection)
    given = {repository: right_name(right) for repository, right in sorted(grants.items())}
    audit.note(connection, actor, "robot.create", full, account=owner, now=now, detail={"grants": given})
    return of(connection, namespace, made)[0]


def of(connection: Connection, namespace: str, only: int | None = None) -> list[Robot]:
    """The robots of the namespace's account by name, or ``only`` one. NameUnknown."""
    columns = (accounts.c.id, accounts.c.name, accounts.c.created, tokens.c.expires, tokens.c.used)
    query = (
        select(*columns)
        .outerjoin(tokens, tokens.c.account == accounts.c.id)
        .where(accounts.c.owner == _owner(connection, namespace))
    )
    if only is not None:
        query = query.where(accounts.c.id == only)
    rows = connection.execute(query.order_by(accounts.c.name)).all()
    rights = (
        select(account_grants.c.account, repositories.c.name, account_grants.c.right)
        .join(repositories, repositories.c.id == account_grants.c.repository)
        .join(accounts, accounts.c.id == account_grants.c.account)
        .where(accounts.c.owner == _owner(connection, namespace))
        .order_by(repositories.c.name)
    )
    given: dict[int, list[Grant]] = {}
    for account, repository, right in connection.execute(rights):
        given.setdefault(account, []).append(Grant(repository, right_name(right)))
    return [
        Robot(
            name=row.name,
            namespace=namespace,
            grants=given.get(row.id, []),
            created=moment(row.created),
            expires=moment_or_none(row.expires),
            used=moment_or_none(row.used),
        )
        for row in rows
    ]


def remove(connection: Connection, actor: Actor, namespace: str, full: str, *, now: int) -> None:
    """Take away a robot of the namespace's account. NameUnknown."""
    owner = _owner(connection, namespace)
    robot = connection.scalar(select(accounts.c.id).where(accounts.c.name == full, accounts.c.owner == owner))
    if robot is None:
        raise NameUnknown(f"there is no robot {full}")
    accounts_of.remove(connection, robot)
    audit.note(connection, actor, "robot.remove", full, account=owner, now=now)


def _owner(connection: Connection, namespace: str) -> int:
    owner: int | None = connection.scalar(select(namespaces.c.account).where(namespaces.c.name == namespace))
    if owner is None:
        raise NameUnknown(f"there is no account {namespace}")
    return owner
