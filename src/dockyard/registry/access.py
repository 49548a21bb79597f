"""Who may do what: the one decision that every request goes through."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dockyard.errors import Denied


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``id`` is never reused; both are ``None`` for somebody who did not say who they are."""

    id: int | None
    name: str | None


ANONYMOUS = Actor(None, None)


class Action(enum.Enum):
    """What is asked for; the values are those of token scopes."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    CATALOG = "catalog"


def allowed(actor: Actor, action: Action, repository: str | None) -> bool:
    """Whether ``actor`` may do ``action`` to ``repository`` (``None``: to the hub as a whole).

    The hub is open: ``--auth none`` is the only mode, in which everybody may do everything.
    """
    return True


def require(actor: Actor, action: Action, repository: str | None) -> None:
    """Raise :class:`Denied` unless :func:`allowed`."""
    if not allowed(actor, action, repository):
        raise Denied("requested access to the resource is denied")
