"""The database: a function is a transaction, processes lose nothing, and migrations make the tables of the schema."""

import asyncio
import stat
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import bindparam, insert, select, text

from dockyard.errors import NameUnknown, SettingInvalid, Unavailable
from dockyard.registry import database as module
from dockyard.registry import schema
from dockyard.registry.catalog import leases
from dockyard.registry.database import Database, LookUp
from dockyard.registry.migrate import migrate


@pytest.fixture
async def database(tmp_path):
    opened = Database.at(tmp_path / "hub.db")
    await migrate(opened, "me")
    yield opened
    opened.close()


def add(connection, name):
    connection.execute(insert(schema.namespaces), {"name": name, "created": 0})


def names(connection):
    return sorted(connection.scalars(select(schema.namespaces.c.name)))


async def test_what_a_function_raises_undoes_all_it_did(database):
    def fails(connection):
        add(connection, "a")
        raise NameUnknown("no")

    with pytest.raises(NameUnknown):
        await database.write(fails)

    assert await database.read(names) == []


async def test_reading_transactions_do_not_write(database):
    with pytest.raises(Unavailable):
        await database.read(add, "a")

    assert await database.read(names) == []


async def test_a_look_up_sees_what_was_just_written(database):
    query = LookUp(select(schema.namespaces.c.id).where(schema.namespaces.c.name == bindparam("a")))
    before = await database.look_up(query, "team")
    await database.write(add, "team")

    assert before is None
    assert await database.look_up(query, "team") == (1,)


async def test_a_look_up_keeps_no_snapshot_open(database):
    query = LookUp(select(schema.namespaces.c.id).where(schema.namespaces.c.name == bindparam("a")))
    await database.write(add, "team")
    await database.look_up(query, "team")

    def checkpoint():
        with database.engine.connect() as connection:
            driver = connection.connection.driver_connection
            return driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    assert (await asyncio.to_thread(checkpoint))[0] == 0


async def test_commits_are_synced_and_the_log_is_written_ahead(database):
    def settings(connection):
        return [connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await database.write(settings) == ["wal", 2, 1]


async def test_a_database_that_stays_locked_is_unavailable(database, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0)
    other = Database.at(tmp_path / "hub.db")
    with database.engine.begin() as holding:
        add(holding, "a")
        with pytest.raises(Unavailable):
            await other.write(add, "b")
    other.close()

    assert await database.read(names) == ["a"]


async def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "hub.db").write_bytes(b"certainly not a database" * 100)

    with pytest.raises(Unavailable):
        Database.at(tmp_path / "hub.db")


async def test_the_migrations_make_the_tables_of_the_schema(database):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), schema.metadata)

    config = Config()
    config.set_main_option("script_location", "dockyard.registry:migrations")

    assert await database.read(differences) == []
    assert ScriptDirectory.from_config(config).get_heads() == [schema.VERSION]


async def test_one_of_many_migrates_and_the_others_wait(tmp_path):
    databases = [Database.at(tmp_path / "hub.db") for _ in range(5)]
    await asyncio.gather(*(migrate(database, str(number)) for number, database in enumerate(databases)))

    assert [await database.read(names) for database in databases] == [[]] * 5
    for database in databases:
        database.close()


async def test_a_database_of_a_newer_dockyard_is_left_alone(database):
    await database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))

    with pytest.raises(SettingInvalid, match="9999"):
        await migrate(database, "me")


async def test_a_lease_has_one_holder_until_it_ends_or_is_given_back(database):
    async def take(holder, now):
        return await database.write(leases.take, "task", holder, now=now, until=now + 10)

    outcomes = [await take("a", 0), await take("b", 5), await take("a", 8), await take("b", 17), await take("b", 18)]
    await database.write(leases.release, "task", "a")
    still = await take("c", 19)
    await database.write(leases.release, "task", "b")

    assert outcomes == [True, False, True, False, True]
    assert not still
    assert await take("c", 20)


WRITER = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import select, update
from dockyard.registry import schema
from dockyard.registry.database import Database

def count_up(connection):
    # Read, then write: lost unless the transaction locks before it reads.
    before = connection.scalar(select(schema.repositories.c.revision))
    connection.execute(update(schema.repositories).values(revision=before + 1))

async def main():
    database = Database.at(Path(sys.argv[1]))
    await asyncio.gather(*(database.write(count_up) for _ in range(int(sys.argv[2]))))
    database.close()

asyncio.run(main())
"""


async def test_sixty_four_writers_in_eight_processes_lose_nothing(database, tmp_path):
    row = {"name": "team/app", "created": 0, "revision": 0}
    await database.write(lambda connection: connection.execute(insert(schema.repositories), row))
    command = [sys.executable, "-c", WRITER, str(tmp_path / "hub.db"), "8"]
    writers = [subprocess.Popen(command) for _ in range(8)]
    codes = [await asyncio.to_thread(writer.wait) for writer in writers]
    total = await database.read(lambda connection: connection.scalar(select(schema.repositories.c.revision)))

    assert codes == [0] * 8
    assert total == 64


async def test_the_database_is_its_owners_only_also_where_it_was_not(tmp_path):
    path = tmp_path / "hub.db"
    path.touch(0o644)
    opened = Database.at(path)
    await migrate(opened, "me")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    opened.close()

    assert modes["hub.db"] == 0o600
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3
