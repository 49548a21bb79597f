"""How Alembic runs the migrations: in the transaction of the connection that it is given."""

from __future__ import annotations

from alembic import context

from dockyard.registry import account_schema, schema

__all__ = ["account_schema"]  # its tables are of the same metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
context.run_migrations()
