"""Counts of what was attempted, by minute, and the addresses that accounts are known to log in from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from dockyard.errors import TooMany
from dockyard.registry.account_schema import accounts, attempts, known_addresses
from dockyard.registry.catalog.conflicts import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

MINUTES = 15
"""Minutes, the running one among them, that attempts count for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries from where: what it counts against, with the limit of each.

    ``as_stranger`` is what it counts against too unless the account ``name`` has logged in from ``network`` before.
    """

    name: str
    network: str
    limits: Mapping[str, int]
    as_stranger: Mapping[str, int]


def check(connection: Connection, attempt: Attempt, minute: int) -> None:
    """Raise TooMany where a limit of the attempt is reached."""
    limits = _limits(connection, attempt)
    query = (
        select(attempts.c.subject, func.sum(attempts.c.count), func.min(attempts.c.stretch))
        .where(attempts.c.subject.in_(list(limits)), attempts.c.stretch > minute - MINUTES)
        .group_by(attempts.c.subject)
    )
    over = [oldest for subject, count, oldest in connection.execute(query) if count >= limits[subject]]
    if over:
        minutes = max(over) + MINUTES - minute
        raise TooMany("too many attempts", retry_after=minutes * 60, hint=f"Try again in {minutes} minutes.")


def add(connection: Connection, attempt: Attempt, minute: int) -> None:
    """Count the attempt, and forget those that count no longer."""
    for subject in _limits(connection, attempt):
        here = (attempts.c.subject == subject, attempts.c.stretch == minute)
        if not connection.execute(update(attempts).where(*here).values(count=attempts.c.count + 1)).rowcount:
            connection.execute(insert(attempts), {"subject": subject, "stretch": minute, "count": 1})
    connection.execute(delete(attempts).where(attempts.c.stretch <= minute - MINUTES))


def take(connection: Connection, attempt: Attempt, minute: int) -> None:
    """:func:`check` and :func:`add` at once."""
    check(connection, attempt, minute)
    add(connection, attempt, minute)


def succeed(connection: Connection, subject: str, account: int, network: str, *, now: int, kept: int) -> None:
    """Forget what counted against the subject, and addresses not used for ``kept`` ms; know this one."""
    connection.execute(delete(attempts).where(attempts.c.subject == subject))
    old = (known_addresses.c.account == account, known_addresses.c.last < now - kept)
    connection.execute(delete(known_addresses).where(*old))
    insert_or_update(
        connection, known_addresses, {"account": account, "address": network, "last": now}, update=["last"]
    )


def is_noted(connection: Connection, subject: str, account: int, network: str, *, since: int) -> bool:
    """Whether :func:`succeed` would only move the time of an address that was used since ``since``."""
    here = (known_addresses.c.account == account, known_addresses.c.address == network)
    last = connection.scalar(select(known_addresses.c.last).where(*here))
    counted = select(attempts.c.count).where(attempts.c.subject == subject).limit(1)
    return last is not None and last >= since and connection.scalar(counted) is None


def _limits(connection: Connection, attempt: Attempt) -> dict[str, int]:
    limits = dict(attempt.limits)
    if attempt.as_stranger:
        query = select(known_addresses.c.last).join(accounts, accounts.c.id == known_addresses.c.account)
        here = query.where(accounts.c.name == attempt.name, known_addresses.c.address == attempt.network)
        if connection.scalar(here) is None:
            limits |= attempt.as_stranger
    return limits
