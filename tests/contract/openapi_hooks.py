"""What schemathesis is told of the JSON API besides its document. ``DOCKYARD_TOKEN`` is the id of the token it uses."""

from __future__ import annotations

import itertools
import os
import zlib
from typing import Any

import schemathesis

KNOWN = {
    "org": "acme", "team": "crew", "user": "bob", "account": "acme", "who": "bob", "robot": "acme+ci",
    "repo": "acme/app",
}  # fmt: skip
"""What is there when the run begins, by the parameters of paths."""

ROOTS = {"/orgs/{org}", "/orgs/{org}/teams/{team}", "/users/{user}", "/repositories/{repo}", "/robots/{robot}"}

_addresses = itertools.count()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Lead half of the requests to what is there, and let none of them end the run."""
    # Guessed passwords would make all that follow from the same address wait.
    number = next(_addresses)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    names = case.path_parameters
    if str(names.get("id")) == os.environ["DOCKYARD_TOKEN"]:
        names["id"] = 10**9
    removes = case.method == "DELETE" and case.path in ROOTS
    drawn = zlib.crc32(repr(sorted(names.items())).encode()) % 2
    # Where requests follow each other, they are about what the ones before have made.
    follows = case.meta is None or case.meta.phase.name == "stateful"
    if drawn and not removes and not follows and case.meta.generation.mode.is_positive:
        names.update({name: KNOWN[name] for name in names if name in KNOWN})


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """A schema has no word for printable characters, which all texts consist of."""
    return _printable(body)


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: Any) -> bool:
    """The same for the query."""
    return _printable(query)


def _printable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_printable(item) for item in value.values())
    if isinstance(value, list):
        return all(map(_printable, value))
    return not isinstance(value, str) or value.isprintable()
