"""The scopes that clients ask the token service for. Pure.

Source: distribution's ``spec/auth/scope.md``: ``type[(class)]:name:action,action``, several of them with spaces
between or in parameters of their own. A name may hold colons, as that of a repository behind ``host:port``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dockyard.errors import NameInvalid
from dockyard.oci.reference import parse_repository
from dockyard.registry.access import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

CATALOG = (Action.CATALOG.value, "")

MOST = 500
"""Pairs in one request: a ticket has no room for more, and each repository is looked up."""

_SCOPE = re.compile(r"(?P<type>[a-z0-9]+)(?:\([a-z0-9]+\))?:(?P<name>.+):(?P<actions>[a-z*,]*)", re.ASCII)
_ACTIONS = (Action.PULL.value, Action.PUSH.value, Action.DELETE.value)


def parse_scopes(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of an action and a repository's name (``""``: the hub), each once, in the order they were asked for.

    What this hub has nothing of is left out: other types and actions, and names that no repository can have. So is
    what comes after the first :data:`MOST`.
    """
    asked: dict[tuple[str, str], None] = {}
    for text in texts:
        for scope in text.split():
            if found := _SCOPE.fullmatch(scope):
                asked |= dict.fromkeys(_pairs(found["type"], found["name"], found["actions"].split(",")))
    return list(asked)[:MOST]


def format_scopes(pairs: Iterable[tuple[str, str]]) -> str:
    """Write pairs as a client would ask for them."""
    actions: dict[str, list[str]] = {}
    for action, name in pairs:
        actions.setdefault(name, []).append(action)
    return " ".join(
        f"repository:{name}:{','.join(found)}" if name else "registry:catalog:*" for name, found in actions.items()
    )


def detail_scopes(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]] | None:
    """Pairs as the ``detail`` of an error that refuses them, in distribution's words; ``None`` for none."""
    return [
        {"Type": "repository", "Class": "", "Name": name, "Action": action}
        if name
        else {"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}
        for action, name in pairs
    ] or None


def _pairs(type: str, name: str, actions: list[str]) -> list[tuple[str, str]]:
    if (type, name) == ("registry", "catalog") and "*" in actions:
        return [CATALOG]
    if type != "repository":
        return []
    try:
        repository = parse_repository(name)
    except NameInvalid:
        return []
    return [(action, repository) for action in _ACTIONS if action in actions or "*" in actions]
