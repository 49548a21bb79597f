"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them all. Only ``leases`` is there already, for it decides who migrates."""
    op.create_table(
        "aliases",
        sa.Column("alias", ORDERED, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.PrimaryKeyConstraint("alias"),
    )
    op.create_index("aliases_digest", "aliases", ["digest"], unique=False)
    op.create_table(
        "blobs",
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "namespaces",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "repositories",
        sa.Column("id", ID, nullable=False),
        sa.Column("namespace", ID, nullable=True),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace"],
            ["namespaces.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "changes",
        sa.Column("repository", ID, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "revision"),
    )
    op.create_index(
        "changes_unstored",
        "changes",
        ["repository"],
        unique=False,
        sqlite_where=sa.text("record IS NOT NULL"),
        postgresql_where=sa.text("record IS NOT NULL"),
    )
    op.create_table(
        "links",
        sa.Column("repository", ID, nullable=False),
        sa.Column("blob", ORDERED, nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("mounted", sa.Boolean(), nullable=False),
        sa.Column("credited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["blob"],
            ["blobs.digest"],
        ),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "blob"),
    )
    op.create_index("links_blob", "links", ["blob"], unique=False)
    op.create_table(
        "manifests",
        sa.Column("repository", ID, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("untagged_since", sa.BigInteger(), nullable=True),
        sa.Column("artifact_type", sa.Text(), nullable=True),
        sa.Column("subject", ORDERED, nullable=True),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "digest"),
    )
    op.create_index("manifests_subject", "manifests", ["repository", "subject"], unique=False)
    op.create_table(
        "pulls",
        sa.Column("repository", ID, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "digest", "day"),
    )
    op.create_table(
        "pushes",
        sa.Column("repository", ID, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", ID, nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("mounted", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "revision"),
    )
    op.create_table(
        "tag_history",
        sa.Column("repository", ID, nullable=False),
        sa.Column("tag", ORDERED, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("digest", ORDERED, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("repository", "tag", "revision"),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repository", ID, nullable=False),
        sa.Column("actor", ID, nullable=True),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("sha512", sa.LargeBinary(), nullable=True),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository"],
            ["repositories.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_touched", "uploads", ["touched"], unique=False)
    op.create_table(
        "edges",
        sa.Column("repository", ID, nullable=False),
        sa.Column("parent", ORDERED, nullable=False),
        sa.Column("child", ORDERED, nullable=False),
        sa.Column("is_manifest", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository", "parent"],
            ["manifests.repository", "manifests.digest"],
        ),
        sa.PrimaryKeyConstraint("repository", "parent", "child", "is_manifest"),
    )
    op.create_index("edges_child", "edges", ["repository", "child"], unique=False)
    op.create_table(
        "tags",
        sa.Column("repository", ID, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("named", ORDERED, nullable=True),
        sa.ForeignKeyConstraint(
            ["repository", "digest"],
            ["manifests.repository", "manifests.digest"],
        ),
        sa.PrimaryKeyConstraint("repository", "name"),
    )
    op.create_index("tags_digest", "tags", ["repository", "digest"], unique=False)
    # ### end Alembic commands ###
