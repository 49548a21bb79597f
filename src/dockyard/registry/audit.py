"""The hub's verbs over the audit log, which only ever grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.registry import access
from dockyard.registry.access import HUB, Action
from dockyard.registry.answers import Page
from dockyard.registry.catalog import audit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database
    from dockyard.registry.profiles import AuditEntry
    from dockyard.registry.rights import Rights

BATCH = 500
"""Entries that an export reads at once."""


class Audit:
    """The audit log of a hub.

    Administrators see all of it; others what they did themselves, what belongs to them, and what belongs to
    organisations that they own.
    """

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database, self._rights = database, rights

    async def entries(
        self,
        actor: Actor,
        *,
        account: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int,
    ) -> Page[AuditEntry]:
        """The newest first, those before the id ``before``: what belongs to ``account``, with this ``action``.

        Unauthenticated; NameUnknown and Denied for an account that the actor does not own.
        """
        await self._require(actor, account)
        found = await self._database.read(
            audit.newest, actor, account=account, action=action, before=before, limit=limit + 1
        )
        return Page(tuple(found[:limit]), 0 < limit < len(found))

    async def export(
        self, actor: Actor, *, account: str | None = None, action: str | None = None
    ) -> AsyncIterator[AuditEntry]:
        """All of them, the oldest first, up to what there was when the last was read. The same errors, at the start."""
        await self._require(actor, account)
        return self._batches(actor, account, action)

    async def _batches(self, actor: Actor, account: str | None, action: str | None) -> AsyncIterator[AuditEntry]:
        last = 0
        while True:
            found = await self._database.read(
                audit.oldest, actor, account=account, action=action, after=last, limit=BATCH
            )
            for entry in found:
                yield entry
            if len(found) < BATCH:
                return
            last = found[-1].id

    async def _require(self, actor: Actor, account: str | None) -> None:
        access.require(actor, Action.CATALOG, HUB)
        if account is not None:
            await self._rights.require_account(actor, Action.INSPECT, account)
