"""Bringing a database to the tables of this version, in one process while the others wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table

from dockyard.errors import SettingInvalid
from dockyard.registry import schema
from dockyard.registry.catalog import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dockyard.registry.database import Database

LEASE_MS = 10_000


async def migrate(database: Database, holder: str) -> None:
    """Run the migrations that are missing. SettingInvalid for a database of a newer dockyard; Full, Unavailable."""
    while (version := await database.read(_version)) != schema.VERSION:
        if version is not None and version > schema.VERSION:
            raise SettingInvalid(
                f"the database is at version {version}, and this dockyard knows up to {schema.VERSION}",
                hint="Install the newer dockyard again, or choose another folder with --data.",
            )
        if await database.write(_take, holder):
            await database.write(_upgrade)
            await database.write(leases.release, "migration", holder)
        else:
            await asyncio.sleep(0.05)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))


def _take(connection: Connection, holder: str) -> bool:
    schema.metadata.create_all(connection, tables=[schema.leases])
    now = int(time.time() * 1000)
    return leases.take(connection, "migration", holder, now=now, until=now + LEASE_MS)


def _upgrade(connection: Connection) -> None:
    # Not at the top: most processes find the tables as they should be.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "dockyard.registry:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
