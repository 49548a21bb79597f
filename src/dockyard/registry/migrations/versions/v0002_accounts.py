"""Accounts, what they may do, and what they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make their tables. Repositories of a hub that was open are nobody's, and so private, until given."""
    op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("owner", ID, nullable=True),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("default_private", sa.Boolean(), nullable=False),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.Column("blocked", sa.BigInteger(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column("totp_confirmed", sa.Boolean(), nullable=False),
        sa.Column("totp_last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_index("accounts_owner", "accounts", ["owner"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("stretch", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "stretch"),
    )
    op.create_index("attempts_stretch", "attempts", ["stretch"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", ID, nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("account", ID, nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_account", "audit", ["account", "id"], unique=False)
    op.create_index("audit_actor", "audit", ["actor", "id"], unique=False)
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "codes",
        sa.Column("id", ID, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("inviter", ID, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("organisation", ID, nullable=True),
        sa.Column("as_owner", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inviter"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("codes_inviter", "codes", ["inviter"], unique=False)
    op.create_index("codes_organisation", "codes", ["organisation"], unique=False)
    op.create_table(
        "known_addresses",
        sa.Column("account", ID, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("account", "address"),
    )
    op.create_table(
        "memberships",
        sa.Column("organisation", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("owner", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("organisation", "account"),
    )
    op.create_index("memberships_account", "memberships", ["account"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("account", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("account", "hash"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_account", "sessions", ["account"], unique=False)
    op.create_table(
        "teams",
        sa.Column("id", ID, nullable=False),
        sa.Column("organisation", ID, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.Column("parent", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["parent"],
            ["tokens.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("tokens_account", "tokens", ["account"], unique=False)
    op.create_index("tokens_parent", "tokens", ["parent"], unique=False)
    op.create_table(
        "account_grants",
        sa.Column("repository", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "account"),
    )
    op.create_index("account_grants_account", "account_grants", ["account"], unique=False)
    op.create_table(
        "team_grants",
        sa.Column("repository", ID, nullable=False),
        sa.Column("team", ID, nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.ForeignKeyConstraint(
            ["team"],
            ["teams.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "team"),
    )
    op.create_index("team_grants_team", "team_grants", ["team"], unique=False)
    op.create_table(
        "team_members",
        sa.Column("team", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["team"],
            ["teams.id"],
        ),
        sa.PrimaryKeyConstraint("team", "account"),
    )
    op.create_index("team_members_account", "team_members", ["account"], unique=False)
    op.add_column("namespaces", sa.Column("account", ID, nullable=True))
    op.create_index("namespaces_account", "namespaces", ["account"], unique=True)
    op.add_column("repositories", sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("repositories", sa.Column("description", sa.Text(), nullable=False, server_default=""))
    op.add_column("repositories", sa.Column("removed", sa.BigInteger(), nullable=True))
    op.execute(sa.text("INSERT INTO state (name, value) VALUES ('access_version', '0')"))
