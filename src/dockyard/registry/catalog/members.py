"""Organisations and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, delete, func, insert, select, update

from dockyard.errors import Conflict, NameUnknown
from dockyard.registry.account_schema import accounts, memberships, team_members, teams
from dockyard.registry.catalog import access, audit
from dockyard.registry.catalog import accounts as accounts_of
from dockyard.registry.catalog.conflicts import insert_or_update
from dockyard.registry.profiles import Member, Organisation, moment
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from dockyard.registry.access import Actor


def organisation(connection: Connection, name: str) -> int:
    """The organisation's id. NameUnknown."""
    found: int | None = connection.scalar(
        select(accounts.c.id).where(accounts.c.name == name, accounts.c.kind == "organisation")
    )
    if found is None:
        raise NameUnknown(f"there is no organisation {name}")
    return found


def of(connection: Connection, actor: Actor) -> list[Organisation]:
    """The organisations that the actor is in, by name."""
    rows = connection.execute(_query(actor).where(memberships.c.owner.is_not(None)).order_by(accounts.c.name))
    return [_shown(row) for row in rows]


def find(connection: Connection, actor: Actor, name: str) -> Organisation:
    """An organisation as the actor stands to it. NameUnknown."""
    row = connection.execute(_query(actor).where(accounts.c.name == name)).one_or_none()
    if row is None:
        raise NameUnknown(f"there is no organisation {name}")
    return _shown(row)


def create(connection: Connection, actor: Actor, name: str, *, full_name: str, now: int) -> Organisation:
    """Make an organisation that the actor owns. Conflict where the name is taken."""
    claim = actor.administrator
    made = accounts_of.create(connection, name, kind="organisation", now=now, claim=claim, full_name=full_name)
    if actor.id is not None:
        connection.execute(insert(memberships), {"organisation": made, "account": actor.id, "owner": True})
    audit.note(connection, actor, "organisation.create", name, account=made, now=now)
    return find(connection, actor, name)


def configure(
    connection: Connection, actor: Actor, name: str, *, full_name: str | None, default_private: bool | None, now: int
) -> Organisation:
    """Change what is not ``None``. NameUnknown."""
    found = organisation(connection, name)
    asked = {"full_name": full_name, "default_private": default_private}
    if values := {key: value for key, value in asked.items() if value is not None}:
        connection.execute(update(accounts).where(accounts.c.id == found).values(values))
        audit.note(connection, actor, "organisation.configure", name, account=found, now=now, detail=values)
    return find(connection, actor, name)


def remove(connection: Connection, actor: Actor, name: str, *, now: int) -> None:
    """Take the organisation away with its teams and robots. NameUnknown; Conflict while it has repositories."""
    found = organisation(connection, name)
    held = (
        select(func.count())
        .select_from(repositories)
        .join(namespaces, namespaces.c.id == repositories.c.namespace)
        .where(namespaces.c.account == found, repositories.c.removed.is_(None))
    )
    if count := connection.scalar(held):
        shown = "a repository" if count == 1 else f"{count} repositories"
        raise Conflict(f"organisation {name} has {shown}", hint="Remove what is in it first: dockyard repo rm")
    audit.note(connection, actor, "organisation.remove", name, account=found, now=now)
    accounts_of.remove(connection, found)


def members(connection: Connection, name: str) -> list[Member]:
    """Who is in the organisation, by name. NameUnknown."""
    query = (
        select(accounts.c.name, memberships.c.owner)
        .join(memberships, memberships.c.account == accounts.c.id)
        .where(memberships.c.organisation == organisation(connection, name))
    )
    return [Member(*row) for row in connection.execute(query.order_by(accounts.c.name))]


def set_member(connection: Connection, actor: Actor, name: str, user: str, *, owner: bool, now: int) -> Member:
    """Let a user be in the organisation, as owner or not. NameUnknown; Conflict for its last owner."""
    found, account = organisation(connection, name), accounts_of.user(connection, user).id
    before = _membership(connection, found, account)
    if before is not owner:
        if before:
            _keep_an_owner(connection, found, account, f"{user} is the last owner of {name}")
        row = {"organisation": found, "account": account, "owner": owner}
        insert_or_update(connection, memberships, row, update=("owner",))
        access.raise_version(connection)
        detail = {"user": user, "owner": owner}
        audit.note(connection, actor, "member.set", name, account=found, now=now, detail=detail)
    return Member(user, owner)


def remove_member(connection: Connection, actor: Actor, name: str, user: str, *, now: int) -> None:
    """Take a user out of the organisation and its teams. NameUnknown; Conflict for its last owner.

    Rights that the user was given by name stay, as those of somebody from outside.
    """
    found = organisation(connection, name)
    account = connection.scalar(select(accounts.c.id).where(accounts.c.name == user))
    before = None if account is None else _membership(connection, found, account)
    if account is None or before is None:
        raise NameUnknown(f"{user} is not a member of {name}")
    if before:
        _keep_an_owner(connection, found, account, f"{user} is the last owner of {name}")
    its_teams = select(teams.c.id).where(teams.c.organisation == found)
    connection.execute(
        delete(team_members).where(team_members.c.account == account, team_members.c.team.in_(its_teams))
    )
    chosen = (memberships.c.organisation == found, memberships.c.account == account)
    connection.execute(delete(memberships).where(*chosen))
    access.raise_version(connection)
    audit.note(connection, actor, "member.remove", name, account=found, now=now, detail={"user": user})


def is_member(connection: Connection, organisation: int, account: int) -> bool:
    """Whether the account is in the organisation."""
    return _membership(connection, organisation, account) is not None


def _membership(connection: Connection, organisation: int, account: int) -> bool | None:
    """Whether the account owns the organisation; ``None`` where it is not in it."""
    chosen = (memberships.c.organisation == organisation, memberships.c.account == account)
    return connection.scalar(select(memberships.c.owner).where(*chosen))


def _keep_an_owner(connection: Connection, organisation: int, without: int, message: str) -> None:
    others = (memberships.c.organisation == organisation, memberships.c.owner, memberships.c.account != without)
    if not connection.scalar(select(func.count()).select_from(memberships).where(*others)):
        raise Conflict(message, hint="Make somebody else an owner first.")


def _query(actor: Actor) -> Select[Any]:
    own = and_(memberships.c.organisation == accounts.c.id, memberships.c.account == actor.id)
    columns = (accounts.c.name, accounts.c.full_name, accounts.c.default_private, accounts.c.created)
    query = select(*columns, memberships.c.owner).select_from(accounts).outerjoin(memberships, own)
    return query.where(accounts.c.kind == "organisation")


def _shown(row: Row[Any]) -> Organisation:
    role: Literal["owner", "member"] | None = None if row.owner is None else "owner" if row.owner else "member"
    return Organisation(row.name, row.full_name, row.default_private, moment(row.created), role)
