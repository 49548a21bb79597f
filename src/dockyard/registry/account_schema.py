"""The tables of accounts: who there is, what they may do, and what they did. See :mod:`dockyard.registry.schema`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from dockyard.registry.schema import Id, Ordered, metadata

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
