"""What decisions about access depend on, read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)

from dockyard.registry.access import Actor, Kind, Place, Right
from dockyard.registry.database import LookUp
from dockyard.registry.schema import (
    account_grants,
    accounts,
    memberships,
    namespaces,
    repositories,
    state,
    team_grants,
    team_members,
    tokens,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dockyard.oci.reference import RepositoryName

VERSION = LookUp(select(state.c.value).where(state.c.name == literal_column("'access_version'")))
"""The number of the last change of who may do what."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An account that may ask, and the token it asks with: ``scopes`` are that token's, as they are kept."""

    id: int
    name: str
    kind: str
    administrator: bool
    scopes: str | None
    expires: int | None


def raise_version(connection: Connection) -> None:
    """Say that who may do what has changed; every change of it ends with this, in its own transaction."""
    raised = cast(state.c.value, BigInteger) + 1
    chosen = update(state).where(state.c.name == "access_version")
    connection.execute(chosen.values(value=cast(raised, Text)))


def standing(connection: Connection, account: int, token: int | None) -> Standing | None:
    """The account, unless it is gone or blocked, or the token is gone. Expiry is for the caller, who has the clock."""
    owner = accounts.alias("owner")
    of_account = (accounts.c.id, accounts.c.name, accounts.c.kind, accounts.c.administrator)
    query = (
        select(*of_account, tokens.c.scopes, tokens.c.expires)
        .select_from(accounts)
        .outerjoin(owner, owner.c.id == accounts.c.owner)
        .outerjoin(tokens, and_(tokens.c.id == token, tokens.c.account == accounts.c.id))
        .where(accounts.c.id == account, accounts.c.blocked.is_(None), owner.c.blocked.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None or (token is not None and row.scopes is None):
        return None
    return Standing(*row)


def place(connection: Connection, account: int | None, name: RepositoryName) -> Place:
    """A repository, there or not, as one account (``None``: nobody in particular) finds it. Always one query."""
    first, slash, _ = name.partition("/")
    of_account = literal(account, accounts.c.id.type)
    team = (
        select(func.max(team_grants.c.right))
        .join(team_members, team_members.c.team == team_grants.c.team)
        .where(team_grants.c.repository == repositories.c.id, team_members.c.account == of_account)
    )
    direct = select(account_grants.c.right).where(
        account_grants.c.repository == repositories.c.id, account_grants.c.account == of_account
    )
    owner = exists().where(
        memberships.c.organisation == namespaces.c.account, memberships.c.account == of_account, memberships.c.owner
    )
    here = select(literal(1).label("one")).subquery()
    query = (
        select(repositories.c.private, namespaces.c.account, owner, team.scalar_subquery(), direct.scalar_subquery())
        .select_from(here)
        .outerjoin(repositories, repositories.c.name == name)
        .outerjoin(namespaces, namespaces.c.name == (first if slash else None))
    )
    private, owned_by, owns, by_team, by_name = connection.execute(query).one()
    return Place(
        name,
        exists=private is not None,
        # Without an account the namespace is the administrators', and private.
        private=private is not False or owned_by is None,
        owned=account is not None and (owned_by == account or bool(owns)),
        right=Right(max(by_team or 0, by_name or 0)),
        official=not slash,
    )


def account_place(connection: Connection, account: int | None, name: str) -> Place:
    """A user or organisation as one account finds it: members have READ there, and owners own it."""
    found = connection.execute(select(accounts.c.id).where(accounts.c.name == name)).one_or_none()
    if found is None or account is None:
        return Place(name, exists=found is not None)
    chosen = select(memberships.c.owner).where(memberships.c.organisation == found.id, memberships.c.account == account)
    owner = connection.scalar(chosen)
    right = Right.NONE if owner is None else Right.READ
    return Place(name, exists=True, owned=found.id == account or bool(owner), right=right)


def readable(actor: Actor) -> ColumnElement[bool]:
    """The condition on ``repositories`` that says what :func:`dockyard.registry.access.allowed` says of PULL."""
    narrowed: ColumnElement[bool] = true()
    if actor.granted is not None and ("catalog", "") not in actor.granted:
        narrowed = repositories.c.name.in_([name for action, name in actor.granted if action == "pull"])
    if actor.kind is Kind.EVERYBODY or actor.administrator:
        return narrowed
    official = repositories.c.namespace.is_(None)
    owned_by = select(namespaces.c.account).where(namespaces.c.id == repositories.c.namespace).scalar_subquery()
    public = and_(repositories.c.private == false(), owned_by.is_not(None))
    if actor.id is None:
        return and_(narrowed, or_(official, public))
    owner = exists().where(
        memberships.c.organisation == owned_by, memberships.c.account == actor.id, memberships.c.owner
    )
    direct = exists().where(account_grants.c.repository == repositories.c.id, account_grants.c.account == actor.id)
    team = exists().where(
        team_grants.c.repository == repositories.c.id,
        team_members.c.team == team_grants.c.team,
        team_members.c.account == actor.id,
    )
    return and_(narrowed, or_(official, public, owned_by == actor.id, owner, direct, team))
