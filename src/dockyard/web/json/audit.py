"""The audit log: administrators see all of it, others what is about their own."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from dockyard.errors import Denied, NotFound
from dockyard.registry.profiles import AuditEntry
from dockyard.web.json.endpoint import Ask, Listing, Stream, endpoint, listing
from dockyard.web.json.fields import Count, Line

Account = Annotated[Line, Meta(description="only what belongs to this user or organisation")]
Action = Annotated[Line, Meta(description="only this, such as `grant.set`")]
COLUMNS = ("id", "at", "actor", "action", "target", "detail", "address")
MEDIA = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries."""

    account: Account = ""
    action: Action = ""
    after: Annotated[int, Meta(ge=0, le=10**18 - 1, description="`next` of the page before")] = 0
    n: Count = 50


class ExportQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries, and how they are written."""

    account: Account = ""
    action: Action = ""
    format: Literal["jsonl", "csv"] = "jsonl"


@endpoint("GET", "/audit", "Changes, newest first", Denied, NotFound)
async def get_audit(ask: Ask, query: AuditQuery) -> Listing[AuditEntry]:
    """Answer with a page of them."""
    page = await ask.hub.audit.entries(
        ask.actor, account=query.account or None, action=query.action or None, before=query.after or None, limit=query.n
    )
    return listing(page, lambda entry: entry.id)


@endpoint("GET", "/audit/export", "All changes, oldest first: a JSON object a line, or CSV", Denied, NotFound,
          media=tuple(MEDIA.values()))  # fmt: skip
async def export_audit(ask: Ask, query: ExportQuery) -> Stream:
    """Answer with them as they are read."""
    entries = await ask.hub.audit.export(ask.actor, account=query.account or None, action=query.action or None)
    return Stream(MEDIA[query.format], _csv(entries) if query.format == "csv" else _lines(entries))


async def _lines(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[bytes]:
    async for entry in entries:
        yield msgspec.json.encode(entry) + b"\n"


async def _csv(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[bytes]:
    yield _row(COLUMNS)
    async for entry in entries:
        detail = msgspec.json.encode(entry.detail).decode() if entry.detail else ""
        values = entry.id, entry.at.isoformat(), entry.actor, entry.action, entry.target, detail, entry.address
        yield _row(values)


def _row(values: tuple[object, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode()
