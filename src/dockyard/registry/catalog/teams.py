"""Teams of an organisation: who is in each, and its rights on repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from dockyard.errors import Conflict, Invalid, NameUnknown
from dockyard.registry.account_schema import accounts, team_grants, team_members, teams
from dockyard.registry.catalog import access, audit
from dockyard.registry.catalog import accounts as accounts_of
from dockyard.registry.catalog import repositories as repositories_of
from dockyard.registry.catalog.conflicts import insert_new, insert_or_update
from dockyard.registry.catalog.members import is_member, organisation
from dockyard.registry.profiles import Grant, Member, Team, moment, right_name
from dockyard.registry.schema import repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor, Right


def of(connection: Connection, actor: Actor, name: str) -> list[Team]:
    """The organisation's teams by name; of their repositories those count that the actor may read. NameUnknown."""
    found = organisation(connection, name)
    query = _query(actor).where(teams.c.organisation == found).order_by(teams.c.name)
    return [
        Team(row.name, name, row.members, row.repositories, moment(row.created)) for row in connection.execute(query)
    ]


def find(connection: Connection, actor: Actor, name: str, team: str) -> Team:
    """One of those. NameUnknown."""
    _, found = _known(connection, name, team)
    row = connection.execute(_query(actor).where(teams.c.id == found)).one()
    return Team(team, name, row.members, row.repositories, moment(row.created))


def create(connection: Connection, actor: Actor, name: str, team: str, *, now: int) -> Team:
    """Make a team that has nobody and nothing. NameUnknown; Conflict where there is one."""
    found = organisation(connection, name)
    known = select(teams.c.id).where(teams.c.organisation == found, teams.c.name == team)
    if connection.scalar(known) is not None:
        raise Conflict(f"there is a team {name}/{team} already")
    connection.execute(insert(teams), {"organisation": found, "name": team, "created": now})
    access.raise_version(connection)
    audit.note(connection, actor, "team.create", f"{name}/{team}", account=found, now=now)
    return find(connection, actor, name, team)


def remove(connection: Connection, actor: Actor, name: str, team: str, *, now: int) -> None:
    """Take a team away, and what it gave. NameUnknown."""
    owner, found = _known(connection, name, team)
    connection.execute(delete(team_grants).where(team_grants.c.team == found))
    connection.execute(delete(team_members).where(team_members.c.team == found))
    connection.execute(delete(teams).where(teams.c.id == found))
    access.raise_version(connection)
    audit.note(connection, actor, "team.remove", f"{name}/{team}", account=owner, now=now)


def members(connection: Connection, name: str, team: str) -> list[Member]:
    """Who is in the team, by name. NameUnknown."""
    _, found = _known(connection, name, team)
    query = select(accounts.c.name).join(team_members, team_members.c.account == accounts.c.id)
    names = connection.scalars(query.where(team_members.c.team == found).order_by(accounts.c.name))
    return [Member(member, owner=False) for member in names]


def add(connection: Connection, actor: Actor, name: str, team: str, user: str, *, now: int) -> None:
    """Let a member of the organisation be in the team. NameUnknown; Conflict for who is no member."""
    owner, found = _known(connection, name, team)
    account = accounts_of.user(connection, user).id
    if not is_member(connection, owner, account):
        raise Conflict(f"{user} is not a member of {name}", hint=f"First: dockyard org add {name} {user}")
    if insert_new(connection, team_members, {"team": found, "account": account}):
        access.raise_version(connection)
        detail = {"user": user}
        audit.note(connection, actor, "team-member.add", f"{name}/{team}", account=owner, now=now, detail=detail)


def remove_member(connection: Connection, actor: Actor, name: str, team: str, user: str, *, now: int) -> None:
    """Take a user out of the team. NameUnknown."""
    owner, found = _known(connection, name, team)
    account = select(accounts.c.id).where(accounts.c.name == user).scalar_subquery()
    gone = delete(team_members).where(team_members.c.team == found, team_members.c.account == account)
    if not connection.execute(gone).rowcount:
        raise NameUnknown(f"{user} is not in the team {name}/{team}")
    access.raise_version(connection)
    detail = {"user": user}
    audit.note(connection, actor, "team-member.remove", f"{name}/{team}", account=owner, now=now, detail=detail)


def grants(connection: Connection, actor: Actor, name: str, team: str) -> list[Grant]:
    """The team's rights, by repository, on those repositories that the actor may read. NameUnknown."""
    _, found = _known(connection, name, team)
    query = (
        select(repositories.c.name, team_grants.c.right)
        .join(team_grants, team_grants.c.repository == repositories.c.id)
        .where(team_grants.c.team == found, access.readable(actor))
    )
    rows = connection.execute(query.order_by(repositories.c.name))
    return [Grant(repository, right_name(right)) for repository, right in rows]


def grant(
    connection: Connection,
    actor: Actor,
    name: str,
    team: str,
    repository: RepositoryName,
    right: Right,
    *,
    now: int,
) -> Grant:
    """Give the team a right on a repository of the organisation in place of the one it had. NameUnknown, Invalid."""
    owner, found = _known(connection, name, team)
    if not repository.startswith(f"{name}/"):
        raise Invalid(f"{repository} is not in the namespace of {name}: its teams have rights there only")
    at = repositories_of.known(connection, repository)
    row = {"repository": at, "team": found, "right": int(right)}
    insert_or_update(connection, team_grants, row, update=("right",))
    access.raise_version(connection)
    given = Grant(repository, right_name(right))
    detail = {"repository": repository, "right": given.right}
    audit.note(connection, actor, "team-grant.set", f"{name}/{team}", account=owner, now=now, detail=detail)
    return given


def revoke(connection: Connection, actor: Actor, name: str, team: str, repository: RepositoryName, *, now: int) -> None:
    """Take the team's right on a repository away. NameUnknown where it has none."""
    owner, found = _known(connection, name, team)
    at = select(repositories.c.id).where(repositories.c.name == repository).scalar_subquery()
    gone = delete(team_grants).where(team_grants.c.team == found, team_grants.c.repository == at)
    if not connection.execute(gone).rowcount:
        raise NameUnknown(f"the team {name}/{team} has no right on {repository}")
    access.raise_version(connection)
    detail = {"repository": repository}
    audit.note(connection, actor, "team-grant.remove", f"{name}/{team}", account=owner, now=now, detail=detail)


def _known(connection: Connection, name: str, team: str) -> tuple[int, int]:
    """The ids of the organisation and the team."""
    owner = organisation(connection, name)
    found = connection.scalar(select(teams.c.id).where(teams.c.organisation == owner, teams.c.name == team))
    if found is None:
        raise NameUnknown(f"there is no team {name}/{team}")
    return owner, found


def _query(actor: Actor) -> Select[Any]:
    people = select(func.count()).where(team_members.c.team == teams.c.id).scalar_subquery()
    readable = (
        select(func.count())
        .select_from(team_grants)
        .join(repositories, repositories.c.id == team_grants.c.repository)
        .where(team_grants.c.team == teams.c.id, access.readable(actor))
        .scalar_subquery()
    )
    return select(teams.c.name, teams.c.created, people.label("members"), readable.label("repositories"))
