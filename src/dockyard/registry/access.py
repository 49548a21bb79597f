"""Who may do what: the one decision that every request goes through. Pure: what it depends on is handed in.

A credential has scopes, a place gives rights, and an action needs one of each. A token of the token service narrows
that further, to what it was granted.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.errors import Denied, NameUnknown, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dockyard.errors import DockyardError


class Right(enum.IntEnum):
    """What somebody has at a place; each holds those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


class Scope(enum.Enum):
    """What a credential is good for."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ADMIN = "admin"

    __hash__ = object.__hash__


ALL_SCOPES = frozenset(Scope)
ROBOT_SCOPES = ALL_SCOPES - {Scope.ADMIN}


def closed(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """The scopes with what they hold: each of them ``read``, and ``admin`` all."""
    given = frozenset(scopes)
    return ALL_SCOPES if Scope.ADMIN in given else given | {Scope.READ} if given else given


class Kind(enum.Enum):
    """What kind of asker somebody is."""

    ANONYMOUS = "anonymous"
    USER = "user"
    ROBOT = "robot"
    EVERYBODY = "everybody"  # whoever comes to a hub that is open

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where. ``id`` is never reused; it and ``name`` are ``None`` for who did not say.

    ``granted`` is what a token of the token service allows: pairs of an action's value and a repository's name, with
    the name ``""`` for the hub as a whole. ``None``: it was no such token. ``token`` is the id of the personal token
    that proved who asks, if one did; ``proof`` tells the password that did from those before and after it.
    """

    id: int | None
    name: str | None
    kind: Kind = Kind.ANONYMOUS
    administrator: bool = False
    scopes: frozenset[Scope] = frozenset({Scope.READ})
    granted: frozenset[tuple[str, str]] | None = None
    token: int | None = None
    address: str = ""
    proof: str = ""


ANONYMOUS = Actor(None, None)
EVERYBODY = Actor(None, None, Kind.EVERYBODY, scopes=ALL_SCOPES)


class Action(enum.Enum):
    """What is asked for; the values of the first four are those of token scopes on the wire."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"  # a tag, a manifest, a blob
    CATALOG = "catalog"

    CREATE = "create"  # a repository
    REMOVE = "remove"  # a repository with all that is in it
    CONFIGURE = "configure"  # a repository's visibility, description and grants
    VIEW = "view"  # an organisation's members and teams
    INSPECT = "inspect"  # what only those who manage a place see of it: grants, tokens, audit
    MANAGE = "manage"  # an account: its members, teams, robots, settings
    FOUND = "found"  # an organisation
    OVERSEE = "oversee"  # the hub: see all users and the whole audit log
    ADMINISTER = "administer"  # the hub

    __hash__ = object.__hash__


_NEEDS: dict[Action, tuple[Scope, Right]] = {
    Action.PULL: (Scope.READ, Right.READ),
    Action.PUSH: (Scope.WRITE, Right.WRITE),
    Action.DELETE: (Scope.DELETE, Right.ADMIN),
    Action.CATALOG: (Scope.READ, Right.READ),
    Action.CREATE: (Scope.WRITE, Right.ADMIN),
    Action.REMOVE: (Scope.DELETE, Right.ADMIN),
    Action.CONFIGURE: (Scope.ADMIN, Right.ADMIN),
    Action.VIEW: (Scope.READ, Right.READ),
    Action.INSPECT: (Scope.READ, Right.ADMIN),
    Action.MANAGE: (Scope.ADMIN, Right.ADMIN),
    Action.FOUND: (Scope.ADMIN, Right.READ),
    Action.OVERSEE: (Scope.READ, Right.ADMIN),
    Action.ADMINISTER: (Scope.ADMIN, Right.ADMIN),
}


@dataclass(frozen=True, slots=True)
class Place:
    """What is asked for, and what the asker has there: a repository, an account, or the hub (:data:`HUB`).

    ``exists`` and ``private`` are a repository's; a name of one part is ``official``, and public always. ``owned``:
    the asker is the account, or an owner of the organisation, that the place belongs to. ``right`` is what teams,
    collaboration or membership give.
    """

    name: str
    exists: bool = False
    private: bool = True
    owned: bool = False
    right: Right = Right.NONE
    official: bool = False


HUB = Place("", exists=True)

DENIED = "requested access to the resource is denied"


def right_at(actor: Actor, place: Place) -> Right:
    """What the actor has at the place, whatever credential they came with."""
    if actor.kind is Kind.EVERYBODY or actor.administrator or place.owned:
        return Right.ADMIN
    if place is HUB:
        return Right.NONE if actor.kind is Kind.ANONYMOUS else Right.READ
    if place.exists and (place.official or not place.private):
        return max(place.right, Right.READ)
    return place.right


def allowed(actor: Actor, action: Action, place: Place) -> bool:
    """Whether the actor may do ``action`` at the place."""
    scope, right = _NEEDS[action]
    if scope not in actor.scopes or right_at(actor, place) < right:
        return False
    return actor.granted is None or (action.value, place.name) in actor.granted


def refusal(actor: Actor, action: Action, place: Place) -> DockyardError:
    """The error for what is not :func:`allowed`: it says the same of what is hidden and of what is not there."""
    if actor.kind is Kind.ANONYMOUS:
        return Unauthenticated("authentication required")
    scope, right = _NEEDS[action]
    if scope not in actor.scopes and right_at(actor, place) >= right:
        # Who has the right hears what the credential lacks: nothing is hidden from them.
        return Denied(DENIED, hint=f"The token lacks the scope {scope.value}.")
    blind = action in (Action.PUSH, Action.DELETE, Action.CREATE) or place is HUB
    if blind or (action is not Action.PULL and allowed(actor, Action.PULL, place)):
        return Denied(DENIED)
    return NameUnknown(f"there is no repository {place.name}")


def require(actor: Actor, action: Action, place: Place) -> None:
    """Raise :func:`refusal` unless :func:`allowed`."""
    if not allowed(actor, action, place):
        raise refusal(actor, action, place)
