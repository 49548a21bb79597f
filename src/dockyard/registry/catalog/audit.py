"""The audit log: one row for each change, written in the change's own transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from dockyard.registry.access import Actor, Kind
from dockyard.registry.schema import audit, namespaces, repositories

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


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
