"""The hub's tables.

Times are UTC, in milliseconds since 1970; digests and names are text as the protocol writes it. What the protocol
orders has collation C, so that every database sorts it by its bytes. Ids are never reused.

A digest column holds a sha256 digest always; the sha512 names that clients use are rows of ``aliases``. Only
``manifests.subject`` is kept as the manifest has it, for what it names may not be here, and ``tags.named`` as the
client had it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

VERSION = "0002"
"""The newest migration; the tables here are what it leaves behind."""

Ordered = Text().with_variant(Text(collation="C"), "postgresql")
Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up INTEGER columns only

metadata = MetaData()

namespaces = Table(
    "namespaces",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Ordered, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    # The user or organisation that it belongs to; without one it belongs to the administrators.
    Column("account", Id),
    Index("namespaces_account", "account", unique=True),
    sqlite_autoincrement=True,
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Id, primary_key=True),
    # A name of one part, such as tweet-app, is in no namespace.
    Column("namespace", Id, ForeignKey("namespaces.id")),
    Column("name", Ordered, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    # The number of the repository's last change; 0 while nothing was ever pushed to it.
    Column("revision", BigInteger, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    # When it was deleted. Its row stays, under a name that nobody can use, as the last change may not be stored yet.
    Column("removed", BigInteger),
    sqlite_autoincrement=True,
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Ordered, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("alias", Ordered, primary_key=True),
    Column("digest", Ordered, nullable=False),
    Index("aliases_digest", "digest"),
)

# Which blobs a repository may show.
links = Table(
    "links",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("blob", Ordered, ForeignKey("blobs.digest"), nullable=False),
    # When a client was last told that the blob is here, give or take an hour: it may be about to rely on it.
    Column("seen", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    # How it came, and whether a push has been credited with it.
    Column("mounted", Boolean, nullable=False),
    Column("credited", Boolean, nullable=False),
    PrimaryKeyConstraint("repository", "blob"),
    Index("links_blob", "blob"),
)

manifests = Table(
    "manifests",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("digest", Ordered, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("untagged_since", BigInteger),
    Column("artifact_type", Text),
    Column("subject", Ordered),
    Column("annotations", Text, nullable=False),  # a JSON object
    Column("raw", LargeBinary, nullable=False),
    PrimaryKeyConstraint("repository", "digest"),
    Index("manifests_subject", "repository", "subject"),
)

# What a manifest needs: blobs, and for an index manifests. Content that was allowed to be absent has its row too.
edges = Table(
    "edges",
    metadata,
    Column("repository", Id, nullable=False),
    Column("parent", Ordered, nullable=False),
    Column("child", Ordered, nullable=False),
    Column("is_manifest", Boolean, nullable=False),
    PrimaryKeyConstraint("repository", "parent", "child", "is_manifest"),
    ForeignKeyConstraint(["repository", "parent"], ["manifests.repository", "manifests.digest"]),
    Index("edges_child", "repository", "child"),
)

tags = Table(
    "tags",
    metadata,
    Column("repository", Id, nullable=False),
    Column("name", Ordered, nullable=False),
    Column("digest", Ordered, nullable=False),
    # The digest that the tag came under, where that is another than the sha256 one: clients check what they are told.
    Column("named", Ordered),
    PrimaryKeyConstraint("repository", "name"),
    ForeignKeyConstraint(["repository", "digest"], ["manifests.repository", "manifests.digest"]),
    Index("tags_digest", "repository", "digest"),
)

# What each tag has meant since when; no digest where it was taken away. The actor is empty while the hub is open.
tag_history = Table(
    "tag_history",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("tag", Ordered, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("digest", Ordered),
    Column("at", BigInteger, nullable=False),
    Column("actor", Id),
    PrimaryKeyConstraint("repository", "tag", "revision"),
)

# The journal's table: each change of a tag or manifest, and the record of it until that is stored beside.
changes = Table(
    "changes",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("record", LargeBinary),
    PrimaryKeyConstraint("repository", "revision"),
)
Index(
    "changes_unstored",
    changes.c.repository,
    sqlite_where=changes.c.record.is_not(None),
    postgresql_where=changes.c.record.is_not(None),
)

# What each push of a manifest cost, in bytes of its blobs.
pushes = Table(
    "pushes",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("digest", Ordered, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Id),
    Column("received", BigInteger, nullable=False),
    Column("mounted", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    PrimaryKeyConstraint("repository", "revision"),
)

pulls = Table(
    "pulls",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("digest", Ordered, nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970, UTC
    Column("count", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    PrimaryKeyConstraint("repository", "digest", "day"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("actor", Id),
    Column("algorithm", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    # The hashes of the first ``offset`` bytes, where they could be saved.
    Column("sha256", LargeBinary),
    Column("sha512", LargeBinary),
    Column("parts", Text, nullable=False),
    # Raised by each request that takes the session over; a holder of an older one must stop.
    Column("generation", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
    Index("uploads_touched", "touched"),
)

# What only one process does at a time, and who that is until when.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

# Single values: access_version (raised by every change of who may do what) and what the hub keeps to itself.
state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
