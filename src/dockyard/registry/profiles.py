"""What the hub's verbs over accounts and access return: plain values, times in UTC. The JSON API sends them as such.

Nothing here holds a secret but those whose name begins with ``New``: these are shown once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec

from dockyard.registry.access import Right

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
AccountKind = Literal["user", "organisation", "robot"]
RightName = Literal["read", "write", "admin"]
ScopeName = Literal["read", "write", "delete", "admin"]


_RIGHTS: dict[Right, RightName] = {Right.READ: "read", Right.WRITE: "write", Right.ADMIN: "admin"}


def right_name(right: int) -> RightName:
    """What people call a right. KeyError for none."""
    return _RIGHTS[Right(right)]


def moment(milliseconds: int) -> dt.datetime:
    """A time of the database as a value."""
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def moment_or_none(milliseconds: int | None) -> dt.datetime | None:
    """The same for a time that may be missing."""
    return None if milliseconds is None else moment(milliseconds)


@dataclass(frozen=True, slots=True)
class Profile:
    """What everybody may see of a user or organisation."""

    name: str
    kind: AccountKind
    full_name: str
    created: Moment


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """What a user sees of the own account. ``default_private``: repositories made by a push are private at first."""

    name: str
    full_name: str
    email: str
    default_private: bool
    administrator: bool
    second_factor: bool
    created: Moment


@dataclass(frozen=True, slots=True)
class User:
    """What administrators see of a user."""

    name: str
    full_name: str
    email: str
    administrator: bool
    second_factor: bool
    blocked: Moment | None
    created: Moment


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation, and what the asker is in it: ``None`` for no member."""

    name: str
    full_name: str
    default_private: bool
    created: Moment
    role: Literal["owner", "member"] | None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an organisation or, with ``owner`` false, of a team."""

    name: str
    owner: bool


@dataclass(frozen=True, slots=True)
class Team:
    """A team, with how many members and repositories it has."""

    name: str
    organisation: str
    members: int
    repositories: int
    created: Moment


@dataclass(frozen=True, slots=True)
class Grant:
    """A right on a repository."""

    repository: str
    right: RightName


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Who has a right on a repository: a user, a robot, or a team as ``ORG/TEAM``."""

    name: str
    kind: Literal["user", "robot", "team"]
    right: RightName


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository. ``pushed`` is its last change; ``right`` is what the asker has there."""

    name: str
    private: bool
    description: str
    created: Moment
    pushed: Moment | None
    tags: int
    right: RightName


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A personal access token, or a login that a client keeps. ``used`` is right to about a minute."""

    id: int
    kind: Literal["personal", "login"]
    name: str
    scopes: list[ScopeName]
    created: Moment
    expires: Moment | None
    used: Moment | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; ``secret`` is not kept anywhere."""

    token: PersonalToken
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in."""

    id: int
    created: Moment
    used: Moment
    expires: Moment
    address: str
    agent: str
    current: bool


@dataclass(frozen=True, slots=True)
class NewSession:
    """A sign-in that just happened: the cookie's value, the token that forms carry, and how long both hold."""

    cookie: str = field(repr=False)
    csrf: str = field(repr=False)
    seconds: int


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot: it logs in as ``name``, which is ``NAMESPACE+NAME``."""

    name: str
    namespace: str
    grants: list[Grant]
    created: Moment
    expires: Moment | None
    used: Moment | None


@dataclass(frozen=True, slots=True)
class NewRobot:
    """A robot that was just made, with its secret."""

    robot: Robot
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewSecondFactor:
    """A second factor that waits for its first code. ``uri`` is what the QR code says."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that nobody has taken yet."""

    id: int
    note: str
    organisation: str | None
    as_owner: bool
    inviter: str
    created: Moment
    expires: Moment


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation that was just made. ``url`` is the page that takes it."""

    invitation: Invitation
    code: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who did what to what, when and from where. ``actor`` is ``""`` where nobody was signed in."""

    id: int
    at: Moment
    actor: str
    action: str
    target: str
    detail: dict[str, Any]
    address: str
