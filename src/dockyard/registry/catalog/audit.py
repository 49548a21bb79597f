"""The audit log: one row for each change, written in the change's own transaction, and who may see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, or_, select, true

from dockyard.registry.access import Actor, Kind
from dockyard.registry.account_schema import accounts, audit
from dockyard.registry.catalog import access
from dockyard.registry.profiles import AuditEntry, moment
from dockyard.registry.schema import namespaces, repositories

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, Row, Select


def note(
    connection: Connection,
    actor: Actor,
    action: str,
    target: str,
    *,
    account: int | None,
    now: int,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Say that ``actor`` did ``action`` (``noun.verb``) to ``target``, which belongs to ``account``.

    A hub that is open keeps no log: it does not know anybody. No secret belongs into ``detail``.
    """
    if actor.kind is Kind.EVERYBODY:
        return
    row = {"at": now, "actor": actor.id, "actor_name": actor.name or "", "action": action, "account": account}
    row |= {"target": target, "detail": json.dumps(detail or {}), "address": actor.address}
    connection.execute(insert(audit), row)


def note_at(
    connection: Connection,
    actor: Actor,
    action: str,
    repository: int,
    *,
    now: int,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """:func:`note` of a repository, which belongs to its namespace's account."""
    if actor.kind is Kind.EVERYBODY:
        return
    query = select(repositories.c.name, namespaces.c.account).select_from(repositories).outerjoin(namespaces)
    name, account = connection.execute(query.where(repositories.c.id == repository)).one()
    note(connection, actor, action, name, account=account, now=now, detail=detail)


def newest(
    connection: Connection, actor: Actor, *, account: str | None, action: str | None, before: int | None, limit: int
) -> list[AuditEntry]:
    """What the actor may see, the newest first, those before the id ``before``: of ``account``, with ``action``."""
    query = _query(actor, account, action)
    if before is not None:
        query = query.where(audit.c.id < before)
    return [_shown(row) for row in connection.execute(query.order_by(audit.c.id.desc()).limit(limit))]


def oldest(
    connection: Connection, actor: Actor, *, account: str | None, action: str | None, after: int, limit: int
) -> list[AuditEntry]:
    """The same, the oldest first, those after the id ``after``."""
    query = _query(actor, account, action).where(audit.c.id > after)
    return [_shown(row) for row in connection.execute(query.order_by(audit.c.id).limit(limit))]


def _query(actor: Actor, account: str | None, action: str | None) -> Select[Any]:
    query = select(audit).where(_visible(actor))
    if account is not None:
        query = query.where(
            audit.c.account == select(accounts.c.id).where(accounts.c.name == account).scalar_subquery()
        )
    if action is not None:
        query = query.where(audit.c.action == action)
    return query


def _visible(actor: Actor) -> ColumnElement[bool]:
    """Administrators see all; others what they did, and what belongs to them or to organisations that they own."""
    if actor.administrator:
        return true()
    own = audit.c.account == actor.id
    return or_(audit.c.actor == actor.id, own, audit.c.account.in_(access.owned_organisations(actor)))


def _shown(row: Row[Any]) -> AuditEntry:
    detail = json.loads(row.detail)
    return AuditEntry(row.id, moment(row.at), row.actor_name, row.action, row.target, detail, row.address)
