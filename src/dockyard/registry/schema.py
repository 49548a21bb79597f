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
    UniqueConstraint,
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

# Everybody who can be told apart: users, organisations and robots have one list of names and of ids.
accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # user, organisation or robot
    Column("name", Ordered, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    # Of a robot: the account in whose namespace it works.
    Column("owner", Id, ForeignKey("accounts.id")),
    Column("full_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    # What the repositories that a push makes in its namespace are at first.
    Column("default_private", Boolean, nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("blocked", BigInteger),  # since when
    Column("password", Text),  # argon2id, in its own notation; robots and organisations have none
    Column("totp_secret", Text),
    Column("totp_confirmed", Boolean, nullable=False),
    Column("totp_last", BigInteger, nullable=False),  # the time step of the last code taken: each works once
    Index("accounts_owner", "owner"),
    sqlite_autoincrement=True,
)

# Codes that stand in for the second factor once each, hashed.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("hash", Text, nullable=False),
    PrimaryKeyConstraint("account", "hash"),
)

# Personal access tokens, robots' secrets and the logins that clients keep. What was shown once is here as its SHA-256.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("kind", Text, nullable=False),  # personal, robot or login
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # sorted, with spaces between
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("used", BigInteger),
    # Of a login: the personal token that it was made with. It ends with that one.
    Column("parent", Id, ForeignKey("tokens.id")),
    Index("tokens_account", "account"),
    Index("tokens_parent", "parent"),
    sqlite_autoincrement=True,
)

# Who is signed in to the pages: cookies, as their SHA-256.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("csrf", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Index("sessions_account", "account"),
    sqlite_autoincrement=True,
)

# Codes that work once: to make the first administrator, and invitations. Their SHA-256.
codes = Table(
    "codes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("purpose", Text, nullable=False),  # setup or invitation
    Column("hash", Text, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    # Of an invitation: who gave it, a note of whom it is for, and the organisation that it leads into.
    Column("inviter", Id, ForeignKey("accounts.id")),
    Column("note", Text, nullable=False),
    Column("organisation", Id, ForeignKey("accounts.id")),
    Column("as_owner", Boolean, nullable=False),
    Index("codes_organisation", "organisation"),
    Index("codes_inviter", "inviter"),
    sqlite_autoincrement=True,
)

# Failed logins in a stretch of time, by what they count against. Here, so that workers do not multiply the limits.
attempts = Table(
    "attempts",
    metadata,
    Column("subject", Text, nullable=False),
    Column("stretch", BigInteger, nullable=False),  # the number of the stretch since 1970
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("subject", "stretch"),
    Index("attempts_stretch", "stretch"),
)

# Where an account has logged in from: strangers' failures elsewhere do not count against it there.
known_addresses = Table(
    "known_addresses",
    metadata,
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("last", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "address"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organisation", Id, ForeignKey("accounts.id"), nullable=False),
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("owner", Boolean, nullable=False),
    PrimaryKeyConstraint("organisation", "account"),
    Index("memberships_account", "account"),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Id, primary_key=True),
    Column("organisation", Id, ForeignKey("accounts.id"), nullable=False),
    Column("name", Ordered, nullable=False),
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("organisation", "name"),
    sqlite_autoincrement=True,
)

team_members = Table(
    "team_members",
    metadata,
    Column("team", Id, ForeignKey("teams.id"), nullable=False),
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    PrimaryKeyConstraint("team", "account"),
    Index("team_members_account", "account"),
)

# Rights are 1 read, 2 write, 3 admin (``access.Right``).
team_grants = Table(
    "team_grants",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("team", Id, ForeignKey("teams.id"), nullable=False),
    Column("right", Integer, nullable=False),
    PrimaryKeyConstraint("repository", "team"),
    Index("team_grants_team", "team"),
)

# Collaborators and robots.
account_grants = Table(
    "account_grants",
    metadata,
    Column("repository", Id, ForeignKey("repositories.id"), nullable=False),
    Column("account", Id, ForeignKey("accounts.id"), nullable=False),
    Column("right", Integer, nullable=False),
    PrimaryKeyConstraint("repository", "account"),
    Index("account_grants_account", "account"),
)

# Names are kept as they were: what happened is not changed by what happens to those who did it.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Id),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    # Whose it is: the account of the namespace, or the account itself. Its owners see the row.
    Column("account", Id),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),  # a JSON object
    Column("address", Text, nullable=False),
    Index("audit_account", "account", "id"),
    Index("audit_actor", "actor", "id"),
    sqlite_autoincrement=True,
)

# Single values: access_version (raised by every change of who may do what) and what the hub keeps to itself.
state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
