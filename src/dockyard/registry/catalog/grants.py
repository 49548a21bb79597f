"""Rights on repositories that somebody has by name: collaborators and robots. Those of teams are shown beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, literal, select

from dockyard.errors import Conflict, Denied, NameUnknown
from dockyard.registry.account_schema import account_grants, accounts, team_grants, teams
from dockyard.registry.catalog import access, audit, repositories
from dockyard.registry.catalog.conflicts import insert_or_update
from dockyard.registry.profiles import Collaborator, right_name

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor, Right


def collaborators(connection: Connection, repository: RepositoryName) -> list[Collaborator]:
    """Who has a right on the repository by name or team, each list by name: users, robots, teams. NameUnknown."""
    at = repositories.known(connection, repository)
    direct = (
        select(accounts.c.name, accounts.c.kind, account_grants.c.right)
        .join(account_grants, account_grants.c.account == accounts.c.id)
        .where(account_grants.c.repository == at)
        .order_by(accounts.c.kind.desc(), accounts.c.name)
    )
    by_team = (
        select(accounts.c.name + "/" + teams.c.name, literal("team"), team_grants.c.right)
        .select_from(team_grants)
        .join(teams, teams.c.id == team_grants.c.team)
        .join(accounts, accounts.c.id == teams.c.organisation)
        .where(team_grants.c.repository == at)
        .order_by(accounts.c.name, teams.c.name)
    )
    rows = [*connection.execute(direct), *connection.execute(by_team)]
    return [Collaborator(name, kind, right_name(right)) for name, kind, right in rows]


def grant(
    connection: Connection, actor: Actor, repository: RepositoryName, who: str, right: Right, *, now: int
) -> Collaborator:
    """Give a user, or a robot of the namespace, a right on the repository in place of the one it had.

    NameUnknown; Denied to oneself; Conflict for whom the namespace is, who has every right there.
    """
    at = repositories.known(connection, repository)
    found = _grantee(connection, repository, who)
    if found.id == actor.id:
        raise Denied("nobody grants a right to themselves")
    if repository.startswith(f"{who}/"):
        raise Conflict(f"{repository} is {who}'s own: {who} has every right there")
    row = {"repository": at, "account": found.id, "right": int(right)}
    insert_or_update(connection, account_grants, row, update=("right",))
    access.raise_version(connection)
    name = right_name(right)
    audit.note_at(connection, actor, "grant.set", at, now=now, detail={"who": who, "right": name})
    return Collaborator(who, found.kind, name)


def revoke(connection: Connection, actor: Actor, repository: RepositoryName, who: str, *, now: int) -> None:
    """Take the right of a user or robot away. NameUnknown where it has none."""
    at = repositories.known(connection, repository)
    account = select(accounts.c.id).where(accounts.c.name == who).scalar_subquery()
    gone = delete(account_grants).where(account_grants.c.repository == at, account_grants.c.account == account)
    if not connection.execute(gone).rowcount:
        raise NameUnknown(f"{who} has no right of their own on {repository}")
    access.raise_version(connection)
    audit.note_at(connection, actor, "grant.remove", at, now=now, detail={"who": who})


def _grantee(connection: Connection, repository: RepositoryName, who: str) -> Row[int, str]:
    query = select(accounts.c.id, accounts.c.kind).where(accounts.c.name == who)
    found = connection.execute(query.where(accounts.c.kind.in_(("user", "robot")))).one_or_none()
    namespace, plus, _ = who.partition("+")
    if plus and not (found and repository.startswith(f"{namespace}/")):
        # Whether another namespace has such a robot is nobody's business here.
        raise NameUnknown(f"there is no robot {who} in the namespace of {repository}")
    if found is None:
        raise NameUnknown(f"there is no user {who}")
    return found
