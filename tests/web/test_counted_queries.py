"""What is hidden costs what is absent costs: the same statements in the same order, whatever the clock says."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from web.wire import image

from dockyard.config import ServeSettings
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import Action, Actor
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.hub import Hub
from dockyard.registry.passwords import Hashing
from dockyard.web import v2
from dockyard.web.exchange import Exchange
from dockyard.web.metrics import Metrics

HIDDEN, ABSENT, OWN = "ada/hidden", "ada/absent", "bob/app"
SECRET, UNKNOWN = b"a secret", b"unknown!"
DIGESTS = {"hidden": Digest.of(SECRET), "absent": Digest.of(UNKNOWN)}
SCOPES = [(action, name) for name in (HIDDEN, ABSENT, OWN) for action in ("pull", "push", "delete")]


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that SQLite runs from here on, with its values."""
    seen: list[str] = []

    def ran(statement: str) -> None:
        if not statement.startswith("PRAGMA"):  # which each new connection begins with, in whatever request that is
            seen.append(statement)

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.set_trace_callback(ran)

    event.listen(Engine, "connect", connected)
    yield seen
    event.remove(Engine, "connect", connected)


@pytest.fixture
async def world(statements: list[str], tmp_path: Path) -> AsyncIterator[tuple[Hub, Actor, Actor]]:
    """A hub with ada's private repository; ada and bob."""
    settings = ServeSettings(data=str(tmp_path / "hub"), url="https://hub.example")
    hub = await Hub.open(settings, hashing=Hashing(time_cost=1, memory_cost=8, parallelism=1))
    await hub.content._housekeeping.stop()  # so that only requests cause statements
    actors = []
    for name in ("ada", "bob"):
        await hub.accounts.create(SYSTEM, name, f"{name}'s password")
        actors.append(await hub.credentials.basic(name, f"{name}'s password", address="192.0.2.1"))
    ada, bob = actors
    await hub.repositories.create(ada, RepositoryName(HIDDEN), private=True)
    for actor, name, content in ((ada, HIDDEN, SECRET), (bob, OWN, b"{}")):
        headers = await credentials(hub, actor)
        digest = Digest.of(content)
        manifest = image(content, [])
        assert (await send(hub, headers, "POST", f"/v2/{name}/blobs/uploads/", f"digest={digest}", content))[0] == 201
        assert (await send(hub, headers, "PUT", f"/v2/{name}/manifests/v1", "", manifest.raw))[0] == 201
    yield hub, ada, bob
    await hub.close()


async def credentials(hub: Hub, actor: Actor) -> list[tuple[bytes, bytes]]:
    """What the token service would give for everything here."""
    granted = [
        (action, name)
        for action, name in SCOPES
        if await hub.rights.allowed(actor, Action(action), RepositoryName(name))
    ]
    return [(b"authorization", f"Bearer {hub.signing.issue(actor, SCOPES, granted).text}".encode())]


async def send(
    hub: Hub, headers: list[tuple[bytes, bytes]], method: str, path: str, query: str = "", body: bytes = b""
) -> tuple[int, list[bytes], bytes]:
    """One request: status, names of the headers, and body of its answer."""
    received = [{"type": "http.request", "body": body}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return received.pop() if received else {"type": "http.disconnect"}

    async def take(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [*headers, (b"content-length", b"%d" % len(body))], "client": ("192.0.2.1", 1),
    }  # fmt: skip
    await Exchange(Metrics(None), v2.answer, v2.HEADERS)(hub, scope, receive, take)
    whole = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], sorted(name for name, _ in sent[0]["headers"]), whole


def alike(text: str) -> str:
    """The text without what names one thing or another."""
    for name in (HIDDEN, ABSENT, *map(str, DIGESTS.values())):
        text = text.replace(name, "NAME")
    return re.sub(r"[0-9a-f]{32,}|\b\d{9,}\b", "ID", text)


REQUESTS = [
    ("GET", "/v2/{name}/blobs/{digest}", ""),
    ("HEAD", "/v2/{name}/blobs/{digest}", ""),
    ("GET", f"/v2/{OWN}/blobs/{{digest}}", ""),
    ("HEAD", f"/v2/{OWN}/blobs/{{digest}}", ""),
    ("GET", "/v2/{name}/manifests/v1", ""),
    ("HEAD", "/v2/{name}/manifests/{digest}", ""),
    ("GET", "/v2/{name}/tags/list", ""),
    ("GET", "/v2/{name}/referrers/{digest}", ""),
    ("POST", f"/v2/{OWN}/blobs/uploads/", "mount={digest}&from={name}"),
    ("POST", f"/v2/{OWN}/blobs/uploads/", "mount={digest}"),
    ("POST", "/v2/{name}/blobs/uploads/", ""),
    ("PUT", f"/v2/{OWN}/manifests/v2", ""),
    ("PUT", "/v2/{name}/manifests/v1", ""),
    ("DELETE", "/v2/{name}/manifests/v1", ""),
    ("DELETE", "/v2/{name}/blobs/{digest}", ""),
]


@pytest.mark.parametrize("who", ["bob", "nobody"])
async def test_hidden_and_absent_cause_the_same_statements_and_the_same_answer(
    world: tuple[Hub, Actor, Actor], statements: list[str], who: str
) -> None:
    hub, _, bob = world
    headers = await credentials(hub, bob) if who == "bob" else []
    for method, path, query in REQUESTS:
        seen = []
        for which, name, content in (("hidden", HIDDEN, SECRET), ("absent", ABSENT, UNKNOWN)):
            names = {"name": name, "digest": str(DIGESTS[which])}
            body = image(content, []).raw if method == "PUT" else b""
            hub.rights._places.clear()
            await asyncio.sleep(0)  # as between requests, so that each reads the version of rights
            statements.clear()
            status, lines, said = await send(hub, headers, method, path.format(**names), query.format(**names), body)
            seen.append((status, lines, alike(said.decode()), [alike(statement) for statement in statements]))

        assert seen[0] == seen[1], (method, path, query)
        assert who == "nobody" or seen[0][3], "statements were seen"
        assert seen[0][0] in ({401} if who == "nobody" else {202, 400, 403, 404})


async def test_what_is_shown_is_told_from_what_is_not_by_these_statements(
    world: tuple[Hub, Actor, Actor], statements: list[str]
) -> None:
    hub, ada, _ = world
    headers = await credentials(hub, ada)
    seen = []
    for digest in DIGESTS.values():
        statements.clear()
        await send(hub, headers, "POST", "/v2/ada/other/blobs/uploads/", f"mount={digest}")
        seen.append([alike(statement) for statement in statements])

    assert seen[0] != seen[1]
