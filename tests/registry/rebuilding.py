"""What a journal brings back, to compare with what there was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dockyard.registry import schema
from dockyard.registry.database import Database
from dockyard.registry.journal import replay
from dockyard.registry.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

REBUILT = (
    schema.namespaces, schema.repositories, schema.blobs, schema.aliases, schema.manifests, schema.edges,
    schema.tags, schema.tag_history, schema.changes, schema.pushes,
)  # fmt: skip


def dump(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All that the journal answers for, row by row: who may show what, without when somebody last asked."""
    tables = {table.name: select(table).order_by(*table.primary_key) for table in REBUILT}
    tables["links"] = select(schema.links.c.repository, schema.links.c.blob).order_by(*schema.links.primary_key)
    return {name: [tuple(row) for row in connection.execute(query)] for name, query in tables.items()}


async def rebuilt(journal: Path, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What a replay of the journal makes of an empty database."""
    folder.mkdir()
    database = Database.at(folder / "hub.db")
    try:
        await migrate(database, "rebuild")
        await replay(journal, database)
        return await database.read(dump)
    finally:
        database.close()
