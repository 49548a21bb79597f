"""What tests of authentication send: credentials, and the tickets that a hub gives for them or that it never gave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dockyard.registry.signing import Signing

if TYPE_CHECKING:
    from servers import Hub
    from web.wire import Answer, Wire

Headers = dict[str, str]


def basic(name: str, password: str) -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(text: str) -> Headers:
    return {"Authorization": f"Bearer {text}"}


def ask(wire: Wire, *scopes: str, headers: Headers | None = None, **query: str) -> Answer:
    """Ask the token service with GET."""
    asked = urlencode([("service", "hub"), *query.items(), *(("scope", scope) for scope in scopes)])
    return wire("GET", f"/token?{asked}", None, headers or {})


def post(wire: Wire, *scopes: str, **form: str) -> Answer:
    """Ask the token service with POST."""
    body = urlencode([*form.items(), *(("scope", scope) for scope in scopes)]).encode()
    return wire("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})


def ticket(wire: Wire, *scopes: str, headers: Headers | None = None) -> Headers:
    """The headers of a ticket that was asked for these scopes."""
    answer = ask(wire, *scopes, headers=headers)
    assert answer.status == 200, answer
    return bearer(answer.json["token"])


def claims(text: str) -> dict[str, Any]:
    """What a ticket says."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    return found


def key_of(hub: Hub) -> bytes:
    """The hub's own key, as who has its folder can read it."""
    with contextlib.closing(sqlite3.connect(hub.data / "hub.db")) as database:
        [(text,)] = database.execute("SELECT value FROM state WHERE name = 'signing_key'").fetchall()
    return base64.b64decode(text)


def proof_of(hub: Hub, account: int) -> str:
    """What tickets say of the account's password."""
    with contextlib.closing(sqlite3.connect(hub.data / "hub.db")) as database:
        [(kept,)] = database.execute("SELECT password FROM accounts WHERE id = ?", (account,)).fetchall()
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def signing(hub: Hub, *, ago: float = 0.0, service: str | None = None) -> Signing:
    """What makes the hub's tickets, so many seconds ago."""
    return Signing(key_of(hub), service or hub.host, lambda: time.time() - ago)
