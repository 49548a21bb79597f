"""What decisions about access depend on, read from the tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    update,
)

from dockyard.registry.access import Actor, Kind, Place, Right, Scope
from dockyard.registry.account_schema import account_grants, accounts, memberships, team_grants, team_members, tokens
from dockyard.registry.database import LookUp
from dockyard.registry.schema import namespaces, repositories, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select

    from dockyard.oci.reference import RepositoryName

VERSION = LookUp(select(state.c.value).where(state.c.name == literal_column("'access_version'")))
"""The number of the last change of who may do what."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An account that may ask, and the token it asks with: ``scopes`` are that token's, as they are kept.

    ``proof`` is of the account's password, for who asks with that.
    """

    id: int
    name: str
    kind: str
    administrator: bool
    scopes: str | None
    expires: int | None
    proof: str


def raise_version(connection: Connection) -> None:
    """Say that who may do what has changed; every change of it ends with this, in its own transaction."""
    raised = cast(state.c.value, BigInteger) + 1
    chosen = update(state).where(state.c.name == "access_version")
    connection.execute(chosen.values(value=cast(raised, Text)))


def standing(connection: Connection, account: int, token: int | None) -> Standing | None:
    """The account, unless it is gone or blocked, or the token is gone. Expiry is for the caller, who has the clock."""
    owner = accounts.alias("owner")
    of_account = (accounts.c.id, accounts.c.name, accounts.c.kind, accounts.c.administrator, accounts.c.password)
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
    proof = hashlib.sha256(row.password.encode()).hexdigest()[:16] if row.password else ""
    return Standing(row.id, row.name, row.kind, row.administrator, row.scopes, row.expires, proof)


def place_columns(account: int | None) -> tuple[ColumnElement[Any], ...]:
    """What :func:`make_place` is made of, from ``repositories`` and ``namespaces`` joined."""
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
    return repositories.c.private, namespaces.c.account, owner, team.scalar_subquery(), direct.scalar_subquery()


def make_place(account: int | None, name: str, columns: Sequence[Any]) -> Place:
    """A repository as the account finds it; ``columns`` are what :func:`place_columns` selects."""
    private, owned_by, owns, by_team, by_name = columns
    return Place(
        name,
        exists=private is not None,
        # Without an account the namespace is the administrators', and private.
        private=private is not False or owned_by is None,
        owned=account is not None and (owned_by == account or bool(owns)),
        right=Right(max(by_team or 0, by_name or 0)),
        official="/" not in name,
    )


def place(connection: Connection, account: int | None, name: RepositoryName) -> Place:
    """A repository, there or not, as one account (``None``: nobody in particular) finds it. Always one query."""
    first, slash, _ = name.partition("/")
    here = select(literal(1).label("one")).subquery()
    query = (
        select(*place_columns(account))
        .select_from(here)
        .outerjoin(repositories, repositories.c.name == name)
        .outerjoin(namespaces, namespaces.c.name == (first if slash else None))
    )
    return make_place(account, name, connection.execute(query).one())


def account_place(connection: Connection, account: int | None, name: str) -> Place:
    """A user or organisation as one account finds it: members have READ there, and owners own it."""
    found = connection.execute(select(accounts.c.id).where(accounts.c.name == name)).one_or_none()
    if found is None or account is None:
        return Place(name, exists=found is not None)
    chosen = select(memberships.c.owner).where(memberships.c.organisation == found.id, memberships.c.account == account)
    owner = connection.scalar(chosen)
    right = Right.NONE if owner is None else Right.READ
    return Place(name, exists=True, owned=found.id == account or bool(owner), right=right)


def owned_organisations(actor: Actor) -> Select[int]:
    """The ids of the organisations that the actor owns."""
    return select(memberships.c.organisation).where(memberships.c.account == actor.id, memberships.c.owner)


def readable(actor: Actor) -> ColumnElement[bool]:
    """The condition on ``repositories`` that says what :func:`dockyard.registry.access.allowed` says of PULL.

    A token of the token service that was granted the catalog stands for all that its actor may read.
    """
    if Scope.READ not in actor.scopes:
        return false()
    narrowed: ColumnElement[bool] = repositories.c.removed.is_(None)
    if actor.granted is not None and ("catalog", "") not in actor.granted:
        granted = [name for action, name in actor.granted if action == "pull"]
        narrowed = and_(narrowed, repositories.c.name.in_(granted))
    if actor.kind is Kind.EVERYBODY or actor.administrator:
        return narrowed
    # Under names of their own, so that this means the same inside of any query that has repositories.
    space, member, by_name = namespaces.alias(), memberships.alias(), account_grants.alias()
    by_team, in_team = team_grants.alias(), team_members.alias()
    official = repositories.c.namespace.is_(None)
    here = space.c.id == repositories.c.namespace
    public = and_(repositories.c.private == false(), exists().where(here, space.c.account.is_not(None)))
    if actor.id is None:
        return and_(narrowed, or_(official, public))
    own = exists().where(here, space.c.account == actor.id)
    owner = exists().where(here, member.c.organisation == space.c.account, member.c.account == actor.id, member.c.owner)
    direct = exists().where(by_name.c.repository == repositories.c.id, by_name.c.account == actor.id)
    team = exists().where(
        by_team.c.repository == repositories.c.id,
        in_team.c.team == by_team.c.team,
        in_team.c.account == actor.id,
    )
    return and_(narrowed, or_(official, public, own, owner, direct, team))
