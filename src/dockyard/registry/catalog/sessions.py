"""Who is signed in to the pages. A session is known by the hash of its cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from dockyard.errors import NotFound
from dockyard.registry.account_schema import sessions
from dockyard.registry.catalog import audit
from dockyard.registry.database import LookUp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

    from dockyard.registry.access import Actor

MOST = 100
"""Sessions of one account: who signs in over and over fills no database."""

SESSION = LookUp(
    select(sessions.c.id, sessions.c.account, sessions.c.csrf, sessions.c.used, sessions.c.expires).where(
        sessions.c.hash == bindparam("a")
    )
)
"""Of the session that a cookie's hash belongs to: id, account, CSRF token, when it was used and when it ends."""


def begin(connection: Connection, actor: Actor, row: Mapping[str, Any], *, now: int, idle_since: int) -> None:
    """Begin a session of the actor's; forget those of theirs that are over, and the oldest of too many."""
    over = or_(sessions.c.expires <= now, sessions.c.used <= idle_since)
    connection.execute(delete(sessions).where(sessions.c.account == actor.id, over))
    newest = select(sessions.c.id).where(sessions.c.account == actor.id).order_by(sessions.c.id.desc())
    too_many = newest.offset(MOST - 1).subquery()
    connection.execute(delete(sessions).where(sessions.c.id.in_(select(too_many.c.id))))
    dates = {"created": now, "used": now}
    connection.execute(insert(sessions), {"account": actor.id, "address": actor.address} | dates | dict(row))
    audit.note(connection, actor, "session.begin", actor.name or "", account=actor.id, now=now)


def use(connection: Connection, id: int, now: int) -> None:
    """Note that the session was used."""
    connection.execute(update(sessions).where(sessions.c.id == id, sessions.c.used < now).values(used=now))


def of_account(connection: Connection, account: int, *, now: int, idle_since: int) -> Sequence[Row[Any]]:
    """The account's sessions that are not over, the newest first."""
    query = select(sessions).where(sessions.c.account == account)
    query = query.where(sessions.c.expires > now, sessions.c.used > idle_since)
    return connection.execute(query.order_by(sessions.c.id.desc())).all()


def end(connection: Connection, actor: Actor, account: int, id: int, *, now: int) -> None:
    """End a session of the actor's account. NotFound."""
    chosen = delete(sessions).where(sessions.c.id == id, sessions.c.account == account)
    if not connection.execute(chosen).rowcount:
        raise NotFound(f"there is no session {id}")
    audit.note(connection, actor, "session.end", actor.name or "", account=account, now=now)


def end_by_hash(connection: Connection, actor: Actor, hash: str, *, now: int) -> None:
    """End the actor's session with this hash; ended already is fine."""
    if connection.execute(delete(sessions).where(sessions.c.hash == hash)).rowcount:
        audit.note(connection, actor, "session.end", actor.name or "", account=actor.id, now=now)


def end_all(connection: Connection, account: int, *, keep: str | None = None) -> None:
    """End the account's sessions, but the one with the hash ``keep``."""
    chosen = delete(sessions).where(sessions.c.account == account)
    connection.execute(chosen if keep is None else chosen.where(sessions.c.hash != keep))
