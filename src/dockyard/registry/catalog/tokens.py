"""Personal access tokens, robots' secrets and clients' logins, each kept as the SHA-256 of what was shown once.

A token adds nothing to what its account may do, so making one changes nobody's access; taking one away does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update

from dockyard.registry.account_schema import tokens
from dockyard.registry.catalog import access
from dockyard.registry.catalog.conflicts import insert_new
from dockyard.registry.database import LookUp
from dockyard.registry.schema import state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

FIND = LookUp(select(tokens.c.account, tokens.c.id, tokens.c.kind).where(tokens.c.hash == bindparam("a")))
"""Account, id and kind of the token with a hash. Whether it still counts is for ``catalog.access.standing``."""

USED_MS = 60_000
"""A use less than this after the one that is written need not be written."""


class Kept(NamedTuple):
    """A token as its row has it, but for account and hash."""

    id: int
    kind: str
    name: str
    scopes: str
    created: int
    expires: int | None
    used: int | None


def add(
    connection: Connection,
    account: int,
    kind: str,
    name: str,
    hash: str,
    scopes: Iterable[str],
    created: int,
    expires: int | None = None,
    parent: int | None = None,
) -> int:
    """Keep a new token and return its id. ``kind`` is personal, robot or login; the caller writes to the audit log."""
    row = {"account": account, "kind": kind, "name": name, "hash": hash, "scopes": " ".join(sorted(scopes))}
    row |= {"created": created, "expires": expires, "used": None, "parent": parent}
    made: int = connection.scalars(insert(tokens).returning(tokens.c.id), row).one()
    return made


def of(connection: Connection, account: int) -> list[Kept]:
    """The account's tokens, the newest first."""
    columns = (tokens.c.id, tokens.c.kind, tokens.c.name, tokens.c.scopes)
    times = (tokens.c.created, tokens.c.expires, tokens.c.used)
    query = select(*columns, *times).where(tokens.c.account == account)
    return [Kept(*row) for row in connection.execute(query.order_by(tokens.c.id.desc()))]


def expiry(connection: Connection, token: int) -> int | None:
    """When the token ends; ``None`` where it does not."""
    return connection.scalar(select(tokens.c.expires).where(tokens.c.id == token))


def revoke(connection: Connection, account: int, token: int) -> tuple[str, str] | None:
    """Take away a token of the account, and the logins made with it; return its kind and name, ``None`` for no such."""
    query = select(tokens.c.kind, tokens.c.name).where(tokens.c.id == token, tokens.c.account == account)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    _remove(connection, [token])
    return found.kind, found.name


def revoke_logins(connection: Connection, account: int) -> None:
    """Take away the logins that clients have kept, as where the password they were made with is another now."""
    logins = select(tokens.c.id).where(tokens.c.account == account, tokens.c.kind == "login")
    _remove(connection, list(connection.scalars(logins)))


def drop_old_logins(connection: Connection, account: int, name: str, *, keep: int, of_all: int, now: int) -> None:
    """Take away the account's logins that are over, and all but the newest ``keep`` of this name, ``of_all`` in all."""
    logins = select(tokens.c.id).where(tokens.c.account == account, tokens.c.kind == "login")
    newest = logins.where(tokens.c.expires > now).order_by(tokens.c.id.desc())
    over = connection.scalars(logins.where(tokens.c.expires <= now)).all()
    same, every = connection.scalars(newest.where(tokens.c.name == name)).all(), connection.scalars(newest).all()
    _remove(connection, sorted({*over, *same[keep:], *every[of_all:]}))


def used(connection: Connection, times: Mapping[int, int]) -> None:
    """Note when tokens were last used, by their ids."""
    for token, at in sorted(times.items()):
        before = or_(tokens.c.used.is_(None), tokens.c.used <= at - USED_MS)
        connection.execute(update(tokens).where(tokens.c.id == token, before).values(used=at))


def signing_key(connection: Connection, candidate: str) -> str:
    """The hub's key, which is ``candidate`` from now on where there was none."""
    insert_new(connection, state, {"name": "signing_key", "value": candidate})
    key: str = connection.scalars(select(state.c.value).where(state.c.name == "signing_key")).one()
    return key


def _remove(connection: Connection, ids: list[int]) -> None:
    if ids:
        connection.execute(delete(tokens).where(tokens.c.parent.in_(ids)))
        connection.execute(delete(tokens).where(tokens.c.id.in_(ids)))
        access.raise_version(connection)
