"""Accounts: their names, what they are and what becomes of what was theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, delete, insert, literal_column, select, true, update

from dockyard.errors import Conflict, NameUnknown
from dockyard.registry.access import Actor, Kind
from dockyard.registry.account_schema import (
    account_grants,
    accounts,
    codes,
    known_addresses,
    memberships,
    recovery_codes,
    team_grants,
    team_members,
    teams,
)
from dockyard.registry.account_schema import sessions as session_rows
from dockyard.registry.account_schema import tokens as token_rows
from dockyard.registry.catalog import access, audit, sessions, tokens
from dockyard.registry.database import LookUp
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

_BELONGING = (
    teams.c.organisation,
    memberships.c.organisation,
    memberships.c.account,
    team_members.c.account,
    account_grants.c.account,
    codes.c.organisation,
    codes.c.inviter,
    known_addresses.c.account,
    recovery_codes.c.account,
    session_rows.c.account,
    token_rows.c.account,
)

_USER = accounts.c.kind == literal_column("'user'")

LOGIN = LookUp(
    select(accounts.c.id, accounts.c.password, accounts.c.totp_confirmed).where(
        accounts.c.name == bindparam("a"), _USER, accounts.c.blocked.is_(None)
    )
)
"""Of a user who is not blocked, by name: id, password as it is kept, and whether there is a second factor."""


def create(
    connection: Connection,
    name: str,
    *,
    kind: Literal["user", "organisation"],
    now: int,
    claim: bool,
    full_name: str = "",
    email: str = "",
    password: str | None = None,
    administrator: bool = False,
) -> int:
    """Make a user or organisation with the namespace of its name; return its id. Conflict where the name is taken.

    ``claim``: it may have a namespace that is there and belongs to nobody. ``password`` is hashed. What it pushes is
    public at first, until it says otherwise. The caller writes to the audit log.
    """
    namespace = connection.execute(select(namespaces).where(namespaces.c.name == name)).one_or_none()
    known = connection.scalar(select(accounts.c.id).where(accounts.c.name == name))
    if known is not None or (namespace is not None and (namespace.account is not None or not claim)):
        raise Conflict(f"the name {name} is taken")
    about = {"full_name": full_name, "email": email, "password": password, "administrator": administrator}
    made = add(connection, kind, name, now, **about)
    if namespace is None:
        connection.execute(insert(namespaces), {"name": name, "created": now, "account": made})
    else:
        connection.execute(update(namespaces).where(namespaces.c.id == namespace.id).values(account=made))
    access.raise_version(connection)
    return made


def add(connection: Connection, kind: str, name: str, now: int, **values: Any) -> int:
    """Insert an account's row, with ``values`` beside what every new one has; return its id."""
    row = {"kind": kind, "name": name, "created": now, "owner": None, "full_name": "", "email": ""}
    row |= {"default_private": False, "administrator": False, "blocked": None, "password": None}
    row |= {"totp_secret": None, "totp_confirmed": False, "totp_last": 0}
    made: int = connection.scalars(insert(accounts).returning(accounts.c.id), row | values).one()
    return made


def add_user(connection: Connection, actor: Actor, name: str, /, *, now: int, **values: Any) -> int:
    """:func:`create` a user, and say who did; an actor who is nobody yet is the new user. Conflict."""
    made = create(connection, name, kind="user", now=now, **values)
    if actor.kind is Kind.ANONYMOUS:
        actor = replace(actor, id=made, name=name, kind=Kind.USER)
    detail = {"administrator": bool(values.get("administrator"))}
    audit.note(connection, actor, "user.create", name, account=made, now=now, detail=detail)
    return made


def user(connection: Connection, name: str) -> Row[Any]:
    """The user's row. NameUnknown."""
    row = connection.execute(select(accounts).where(accounts.c.name == name, _USER)).one_or_none()
    if row is None:
        raise NameUnknown(f"there is no user {name}")
    return row


def find(connection: Connection, account: int) -> Row[Any] | None:
    """The account's row, if it is still there."""
    return connection.execute(select(accounts).where(accounts.c.id == account)).one_or_none()


def by_id(connection: Connection, account: int) -> Row[Any]:
    """The account's row. NameUnknown where it is gone."""
    row = find(connection, account)
    if row is None:
        raise NameUnknown("the account is gone")
    return row


def shown(connection: Connection, name: str) -> Row[Any]:
    """The row of a user or organisation. NameUnknown."""
    query = select(accounts).where(accounts.c.name == name, accounts.c.kind != "robot")
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NameUnknown(f"there is no user or organisation {name}")
    return row


def users(connection: Connection, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Users in order of their names, those after ``after``."""
    query = select(accounts).where(_USER, accounts.c.name > after)
    return connection.execute(query.order_by(accounts.c.name).limit(limit)).all()


def has_administrator(connection: Connection) -> bool:
    """Whether anybody administers the hub."""
    query = select(accounts.c.id).where(accounts.c.administrator == true()).limit(1)
    return connection.scalar(query) is not None


def configure(connection: Connection, actor: Actor, account: int, values: Mapping[str, Any], *, now: int) -> Row[Any]:
    """Give the account's row new values; return it."""
    connection.execute(update(accounts).where(accounts.c.id == account).values(**values))
    row = by_id(connection, account)
    detail = {"changed": sorted(values)}
    audit.note(connection, actor, "user.configure", row.name, account=account, now=now, detail=detail)
    return row


def keep_anew(connection: Connection, account: int, before: str, password: str) -> None:
    """Replace how a password is kept, unless it was changed meanwhile."""
    same = (accounts.c.id == account, accounts.c.password == before)
    connection.execute(update(accounts).where(*same).values(password=password))


def change_password(
    connection: Connection, actor: Actor, account: int, password: str, *, keep: str | None, now: int
) -> None:
    """Give the account a password of its own choice. Its sessions but ``keep`` (a hash), and its logins, end."""
    connection.execute(update(accounts).where(accounts.c.id == account).values(password=password))
    _end_logins(connection, account, keep=keep)
    audit.note(connection, actor, "password.change", actor.name or "", account=account, now=now)


def set_password(connection: Connection, actor: Actor, name: str, password: str, *, now: int) -> None:
    """Give a user a new password and no second factor. All sessions and logins end. NameUnknown."""
    found = user(connection, name)
    connection.execute(update(accounts).where(accounts.c.id == found.id).values(password=password))
    set_second_factor(connection, found.id, None)
    _end_logins(connection, found.id)
    detail = {"second_factor": bool(found.totp_confirmed)}
    audit.note(connection, actor, "password.set", name, account=found.id, now=now, detail=detail)


def set_second_factor(connection: Connection, account: int, secret: str | None) -> None:
    """Give the account a second factor that waits to be confirmed, or none. Its recovery codes go."""
    values = {"totp_secret": secret, "totp_confirmed": False, "totp_last": 0}
    connection.execute(update(accounts).where(accounts.c.id == account).values(**values))
    connection.execute(delete(recovery_codes).where(recovery_codes.c.account == account))


def begin_second_factor(connection: Connection, account: int, secret: str) -> None:
    """Give the account a second factor that waits to be confirmed. Conflict where it has one."""
    if by_id(connection, account).totp_confirmed:
        raise Conflict("the second factor is on already", hint="Turn it off first.")
    set_second_factor(connection, account, secret)


def confirm_second_factor(
    connection: Connection, actor: Actor, account: int, secret: str, step: int, hashes: Sequence[str], *, now: int
) -> bool:
    """Turn the second factor on; ``False`` where it is not the one that waits. Logins end, which went without it."""
    waiting = (accounts.c.id == account, accounts.c.totp_secret == secret, accounts.c.totp_confirmed.is_not(true()))
    values = {"totp_confirmed": True, "totp_last": step}
    if not connection.execute(update(accounts).where(*waiting).values(**values)).rowcount:
        return False
    connection.execute(insert(recovery_codes), [{"account": account, "hash": one} for one in hashes])
    tokens.revoke_logins(connection, account)
    access.raise_version(connection)
    audit.note(connection, actor, "second-factor.enable", actor.name or "", account=account, now=now)
    return True


def disable_second_factor(connection: Connection, actor: Actor, account: int, *, now: int) -> None:
    """Turn the second factor off."""
    set_second_factor(connection, account, None)
    access.raise_version(connection)
    audit.note(connection, actor, "second-factor.disable", actor.name or "", account=account, now=now)


def use_step(connection: Connection, account: int, secret: str, step: int) -> bool:
    """Take the code of one time step; ``False`` where that one, or a later one, was taken before."""
    fresh = (accounts.c.id == account, accounts.c.totp_secret == secret, accounts.c.totp_last < step)
    return connection.execute(update(accounts).where(*fresh).values(totp_last=step)).rowcount == 1


def use_recovery_code(connection: Connection, account: int, hash: str) -> bool:
    """Take a recovery code; ``False`` where it is none, or was taken before."""
    here = (recovery_codes.c.account == account, recovery_codes.c.hash == hash)
    return connection.execute(delete(recovery_codes).where(*here)).rowcount == 1


def change(
    connection: Connection, actor: Actor, name: str, *, administrator: bool | None, blocked: bool | None, now: int
) -> Row[Any]:
    """Promote or demote a user, block or unblock them; what is ``None`` stays. Blocking ends all their sessions.

    NameUnknown; Conflict for the last administrator.
    """
    found = user(connection, name)
    values: dict[str, Any] = {}
    actions = []
    if administrator is not None and administrator != found.administrator:
        values["administrator"] = administrator
        actions.append("user.promote" if administrator else "user.demote")
    if blocked is not None and blocked != (found.blocked is not None):
        values["blocked"] = now if blocked else None
        actions.append("user.block" if blocked else "user.unblock")
    if not values:
        return found
    connection.execute(update(accounts).where(accounts.c.id == found.id).values(**values))
    if blocked:
        sessions.end_all(connection, found.id)
    if blocked or administrator is False:
        _keep_an_administrator(connection, name)
    access.raise_version(connection)
    for action in actions:
        audit.note(connection, actor, action, name, account=found.id, now=now)
    return by_id(connection, found.id)


def remove_user(connection: Connection, actor: Actor, name: str, *, now: int) -> None:
    """:func:`remove` a user, and say who did. NameUnknown; Conflict for the last administrator."""
    found = user(connection, name)
    remove(connection, found.id)
    if found.administrator:
        _keep_an_administrator(connection, name)
    audit.note(connection, actor, "user.remove", name, account=found.id, now=now)


def remove(connection: Connection, account: int) -> None:
    """Remove a user, organisation or robot with all that hangs on it; what it did stays, under its id.

    Its namespace is nobody's then: the repositories there are the administrators', and private also when they are
    given to somebody. The caller writes to the audit log.
    """
    for robot in connection.scalars(select(accounts.c.id).where(accounts.c.owner == account)).all():
        remove(connection, robot)
    its_namespace = select(namespaces.c.id).where(namespaces.c.account == account)
    connection.execute(update(repositories).where(repositories.c.namespace.in_(its_namespace)).values(private=True))
    connection.execute(update(namespaces).where(namespaces.c.account == account).values(account=None))
    its_teams = select(teams.c.id).where(teams.c.organisation == account)
    for table in (team_grants, team_members):
        connection.execute(delete(table).where(table.c.team.in_(its_teams)))
    for column in _BELONGING:
        connection.execute(delete(column.table).where(column == account))
    connection.execute(delete(accounts).where(accounts.c.id == account))
    access.raise_version(connection)


def _end_logins(connection: Connection, account: int, *, keep: str | None = None) -> None:
    sessions.end_all(connection, account, keep=keep)
    tokens.revoke_logins(connection, account)
    access.raise_version(connection)


def _keep_an_administrator(connection: Connection, changed: str) -> None:
    remaining = (accounts.c.administrator == true(), accounts.c.blocked.is_(None))
    if connection.scalar(select(accounts.c.id).where(*remaining).limit(1)) is None:
        raise Conflict(f"{changed} is the last administrator", hint="Make another one first.")
