"""Inserts that meet a row of the same key; SQLite and PostgreSQL write them alike, SQLAlchemy in two places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Table


def insert_new(connection: Connection, table: Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key is not there yet; return how many those are."""
    if not rows:
        return 0
    return connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows).rowcount


def insert_or_update(connection: Connection, table: Table, row: Mapping[str, Any], *, update: Sequence[str]) -> None:
    """Insert the row, or give the one that has its primary key the new values of the columns ``update``."""
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    values = {name: statement.excluded[name] for name in update}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values), row)


def insert_or_add(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, count: str, latest: str
) -> None:
    """Insert each row, or add its ``count`` to the one that has its primary key, and set ``latest`` to its value."""
    if not rows:
        return
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    values = {count: table.c[count] + statement.excluded[count], latest: statement.excluded[latest]}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
