"""Access that ends while it is used: by eight clients on a hub of four workers, and in the midst of an upload."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from canary import password_of
from servers import Hub
from stories.people import Account
from web.json.api import basic
from web.pages.browsing import signed_in
from web.tickets import ticket
from web.wire import Wire, head_of, image, stamped

from dockyard.oci.digest import Digest

pytestmark = pytest.mark.slow

WITHIN = 10.0
"""Seconds after which nothing of what was taken away works any more, on any worker."""

CONNECTIONS = 6
"""Connections that each client keeps: with eight clients, some are with each worker."""

REFUSALS = {401, 404, 429}
Headers = dict[str, str]


@dataclass
class Client:
    """Asks the same over and over, on each of its connections in turn; what came of it, and when it was asked."""

    hub: Hub
    name: str
    path: str
    headers: Headers
    seen: list[tuple[float, int, int]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        wires = [Wire(self.hub) for _ in range(CONNECTIONS)]
        for number in itertools.cycle(range(CONNECTIONS)):
            if self.ending.is_set():
                break
            asked = time.monotonic()
            answer = wires[number]("GET", self.path, headers=self.headers)
            self.seen.append((asked, number, answer.status))
        for wire in wires:
            wire.close()

    def end(self) -> None:
        self.ending.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), self.name

    def after(self, moment: float) -> list[tuple[float, int, int]]:
        return [entry for entry in list(self.seen) if entry[0] >= moment]

    def is_kept_out(self, since: float) -> bool:
        """Whether the last that came of each connection, three times, was a refusal."""
        for number in range(CONNECTIONS):
            last = [status for _, n, status in self.after(since) if n == number][-3:]
            if len(last) < 3 or not REFUSALS.issuperset(last):
                return False
        return True


def until(holds: Callable[[], bool], deadline: float, what: str) -> None:
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@dataclass(frozen=True)
class Place:
    """A hub under load, its administrator, and the image that everybody pulls."""

    hub: Hub
    boss: Account
    owner: Account

    def user(self, name: str) -> Account:
        self.boss.ok("POST", "/users", {"name": name, "password": password_of(name)})
        return Account(self.hub, name, password_of(name))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    hub = Hub(tmp_path_factory.mktemp("revocation") / "data", auth="accounts", workers=4)
    boss, owner = Account(hub, hub.admin, hub.password), Account(hub, "owner", password_of("owner"))
    made = Place(hub, boss, owner)
    made.user("owner")
    owner.ok("POST", "/orgs", {"name": "acme"})
    owner.ok("POST", "/repositories", {"name": "acme/app", "private": True})
    owner.ok("POST", "/orgs/acme/teams", {"name": "crew"})
    owner.ok("PUT", "/orgs/acme/teams/crew/repositories/acme/app", {"right": "write"})
    push(hub, "acme/app", basic("owner", password_of("owner")))
    yield made
    assert hub.stop() == 0
    assert "Traceback" not in hub.log.read_text()


def push(hub: Hub, name: str, headers: Headers) -> None:
    manifest = image(b"{}", [b"a layer"])
    with Wire(hub) as wire:
        for content in (b"{}", b"a layer"):
            path = f"/v2/{name}/blobs/uploads/?digest={Digest.of(content)}"
            assert wire("POST", path, content, headers).status == 201
        sent = headers | {"Content-Type": manifest.media_type}
        assert wire("PUT", f"/v2/{name}/manifests/v1", manifest.raw, sent).status == 201


def pulling(hub: Hub, headers: Headers) -> Headers:
    """A ticket to pull and push, for these credentials."""
    with Wire(hub) as wire:
        return ticket(wire, "repository:acme/app:pull,push", headers=headers)


def made_token(account: Account) -> tuple[int, Headers]:
    token, secret = account.token("write")
    return token, basic(account.name, secret)


def workers_seen(hub: Hub) -> int:
    """How many workers have answered pulls: the first half of a request's id is the worker's."""
    lines = [json.loads(line) for line in hub.log.read_text().splitlines() if line.startswith('{"id"')]
    return len({line["id"].partition("-")[0] for line in lines if line["route"] == "manifest"})


def test_what_is_taken_away_ends_on_every_connection_and_disturbs_nobody_else(place: Place) -> None:
    hub, owner, boss = place.hub, place.owner, place.boss
    ada, team, _, guest = (place.user(name) for name in ("ada", "team", "browsing", "guest"))
    owner.ok("PUT", "/orgs/acme/members/ada", {})
    owner.ok("PUT", "/orgs/acme/teams/crew/members/ada")
    owner.ok("PUT", "/orgs/acme/members/team", {})
    owner.ok("PUT", "/orgs/acme/teams/crew/members/team")
    owner.ok("PUT", "/repositories/acme/app/-/collaborators/guest", {"right": "read"})
    doomed, by_doomed = made_token(ada)
    _, by_kept = made_token(ada)
    browser = signed_in(hub, "browsing", password_of("browsing"))
    csrf = browser.get("/").form("/logout").fields["csrf"][0]
    session = {"Cookie": f"dockyard_session={browser.session}", "X-CSRF-Token": csrf}
    manifest = "/v2/acme/app/manifests/v1"
    clients = {
        "ticket of the token": (manifest, pulling(hub, by_doomed)),
        "the token": (manifest, by_doomed),
        "ticket of a member": (manifest, pulling(hub, made_token(team)[1])),
        "session": ("/api/v1/account", session),
        "ticket of a collaborator": (manifest, pulling(hub, made_token(guest)[1])),
        "another token": (manifest, by_kept),
        "ticket of another token": (manifest, pulling(hub, by_kept)),
        "ticket of the owner": (manifest, pulling(hub, made_token(owner)[1])),
    }
    running = {name: Client(hub, name, *what) for name, what in clients.items()}
    begun = time.monotonic()
    for client in running.values():
        until(lambda c=client: len(c.seen) >= 5 * CONNECTIONS, begun + 60, f"{client.name} does not get on")  # type: ignore[misc]

    taken: dict[str, float] = {}
    for names, take in (
        (["ticket of the token", "the token"], ("DELETE", f"/account/tokens/{doomed}", ada)),
        (["ticket of a member"], ("DELETE", "/orgs/acme/members/team", owner)),
        (["session"], ("PATCH", "/users/browsing", boss, {"blocked": True})),
        (["ticket of a collaborator"], ("DELETE", "/repositories/acme/app/-/collaborators/guest", owner)),
    ):
        method, path, who, *body = take
        for name in names:
            assert {status for _, _, status in list(running[name].seen)} == {200}, name
        who.ok(method, path, *body)
        taken |= dict.fromkeys(names, time.monotonic())
    for name, moment in taken.items():
        until(lambda n=name, m=moment: running[n].is_kept_out(m), moment + WITHIN, f"{name} is let in")  # type: ignore[misc]
    # And it stays so, while everybody goes on asking.
    asked = {name: len(client.seen) for name, client in running.items()}
    begun = time.monotonic()
    for name, client in running.items():
        until(lambda n=name, c=client: len(c.seen) >= asked[n] + 10 * CONNECTIONS, begun + 60, name)  # type: ignore[misc]
    for client in running.values():
        client.end()

    for name, client in running.items():
        if name not in taken:
            assert {status for _, _, status in client.seen} == {200}, name
            continue
        for number in range(CONNECTIONS):
            statuses = [status for _, n, status in client.seen if n == number]
            first = next(place for place, status in enumerate(statuses) if status != 200)
            assert REFUSALS.issuperset(statuses[first:]), (name, number)
    assert workers_seen(hub) == 4


def begin_body(hub: Hub, method: str, path: str, headers: Headers, content: bytes) -> socket.socket:
    """Send a request's head and, once the hub wants to have its body, the first half of that."""
    peer = socket.create_connection(("127.0.0.1", hub.port), timeout=60)
    sent = headers | {"Host": hub.host, "Content-Length": str(len(content)), "Expect": "100-continue"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    peer.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
    assert head_of(peer).startswith("HTTP/1.1 100 ")
    peer.sendall(content[: len(content) // 2])
    return peer


Taking = Callable[[Place, str, Any], None]


def revoke_token(place: Place, name: str, token: int) -> None:
    Account(place.hub, name, password_of(name)).ok("DELETE", f"/account/tokens/{token}")


def remove_member(place: Place, name: str, token: int) -> None:
    place.owner.ok("DELETE", f"/orgs/acme/members/{name}")


def block(place: Place, name: str, token: int) -> None:
    place.boss.ok("PATCH", f"/users/{name}", {"blocked": True})


def remove(place: Place, name: str, token: int) -> None:
    place.boss.ok("DELETE", f"/users/{name}")


@pytest.mark.parametrize("how", ["ticket", "token"])
@pytest.mark.parametrize(("take", "refused"), [(revoke_token, 401), (block, 401), (remove, 401), (remove_member, 403)])
def test_an_upload_under_way_ends_in_refusal_and_nothing_of_it_is_shown(
    place: Place, take: Taking, refused: int, how: str
) -> None:
    hub, owner = place.hub, place.owner
    name = f"up-{take.__name__.replace('_', '-')}-{how}"
    user = place.user(name)
    owner.ok("PUT", f"/orgs/acme/members/{name}", {})
    owner.ok("PUT", f"/orgs/acme/teams/crew/members/{name}")
    token, by_token = made_token(user)
    headers = by_token if how == "token" else pulling(hub, by_token)
    whole, in_parts = stamped("sent at once ") * 5000, stamped("sent in parts ") * 5000
    with Wire(hub) as wire:
        at = wire("POST", "/v2/acme/app/blobs/uploads/", b"", headers)["location"] or ""
        idle = wire("POST", "/v2/acme/app/blobs/uploads/", b"", headers)["location"] or ""
        assert wire("PATCH", idle, in_parts, headers).status == 202
    path = f"/v2/acme/app/blobs/uploads/?digest={Digest.of(whole)}"
    sending = [
        begin_body(hub, "POST", path, headers, whole),
        begin_body(hub, "PATCH", at, headers, whole),
    ]
    look = basic("owner", password_of("owner"))
    with Wire(hub) as wire:
        take(place, name, token)
        moment = time.monotonic()
        until(
            lambda: wire("GET", "/v2/acme/app/manifests/v1", None, headers).status in REFUSALS,
            moment + WITHIN,
            "it is let in",
        )
        answers = []
        for peer in sending:
            peer.sendall(whole[len(whole) // 2 :])
            answers.append(int(head_of(peer).split()[1]))
            peer.close()
        later = [
            wire("PUT", f"{at}?digest={Digest.of(whole)}", b"", headers).status,
            wire("PUT", f"{idle}?digest={Digest.of(in_parts)}", b"", headers).status,
            wire("PATCH", idle, b"more", headers).status,
        ]
        shown = [wire("HEAD", f"/v2/acme/app/blobs/{Digest.of(c)}", None, look).status for c in (whole, in_parts)]

    assert answers == [refused, refused]
    assert later == [refused] * 3
    assert shown == [404, 404]
