"""Who may do what over HTTP: every method and path of the protocol, every role, public, private, absent, each scope.

What is expected is said here once more, in words of its own; what the code decides by is not asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from contract.access_world import ABSENT, OFFICIAL, PRIVATE, PUBLIC, ROLES, World, people
from servers import Hub
from web.wire import Answer, Wire, image, stamped

from dockyard.oci.digest import Digest
from dockyard.registry.access import Right

UNKNOWN = "sha256:" + "0" * 64
SESSION = "0" * 32
BAD_MANIFEST = b"{}"
IMAGE = "application/vnd.oci.image.manifest.v1+json"

REQUESTS: dict[str, tuple[str, str, bytes, dict[str, str], int, str]] = {
    # name: method, path, body, headers, status where it is allowed, and what it takes: pull, push or delete
    "list tags": ("GET", "tags/list", b"", {}, 200, "pull"),
    "look at tags": ("HEAD", "tags/list", b"", {}, 200, "pull"),
    "pull a manifest": ("GET", "manifests/there", b"", {}, 200, "pull"),
    "look at a manifest": ("HEAD", "manifests/there", b"", {}, 200, "pull"),
    "pull an unknown manifest": ("GET", "manifests/not-there", b"", {}, 404, "pull"),
    "pull a blob": ("GET", "blobs/{blob}", b"", {}, 200, "pull"),
    "look at a blob": ("HEAD", "blobs/{blob}", b"", {}, 200, "pull"),
    "pull an unknown blob": ("GET", f"blobs/{UNKNOWN}", b"", {}, 404, "pull"),
    "list referrers": ("GET", f"referrers/{UNKNOWN}", b"", {}, 200, "pull"),
    "look at referrers": ("HEAD", f"referrers/{UNKNOWN}", b"", {}, 200, "pull"),
    "push a manifest": ("PUT", "manifests/new", BAD_MANIFEST, {"Content-Type": IMAGE}, 400, "push"),
    "begin an upload": ("POST", "blobs/uploads/", b"", {}, 202, "push"),
    "push a blob at once": ("POST", f"blobs/uploads/?digest={UNKNOWN}", b"other bytes", {}, 400, "push"),
    "mount a blob": ("POST", f"blobs/uploads/?mount={UNKNOWN}&from=acme/other", b"", {}, 202, "push"),
    "look at an upload": ("GET", f"blobs/uploads/{SESSION}", b"", {}, 404, "push"),
    "send a chunk": ("PATCH", f"blobs/uploads/{SESSION}", b"bytes", {}, 404, "push"),
    "end an upload": ("PUT", f"blobs/uploads/{SESSION}?digest={UNKNOWN}", b"", {}, 404, "push"),
    "cancel an upload": ("DELETE", f"blobs/uploads/{SESSION}", b"", {}, 404, "push"),
    "delete a tag": ("DELETE", "manifests/not-there", b"", {}, 404, "delete"),
    "delete a manifest": ("DELETE", f"manifests/{UNKNOWN}", b"", {}, 404, "delete"),
    "delete a blob": ("DELETE", f"blobs/{UNKNOWN}", b"", {}, 404, "delete"),
}
TAKES = {"pull": Right.READ, "push": Right.WRITE, "delete": Right.ADMIN}
HOLDS = {
    "read": {"pull"},
    "write": {"pull", "push"},
    "delete": {"pull", "delete"},
    "admin": {"pull", "push", "delete"},
}
BLOB = stamped("a layer of everybody's ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("matrix") / "data", auth="accounts")
    yield hub
    assert hub.stop() == 0


@pytest.fixture(scope="module")
def world(server: Hub) -> World:
    made = asyncio.run(people(server))
    root = made.basic("administrator", "admin")
    with Wire(server) as wire:
        for name in (PUBLIC, PRIVATE, OFFICIAL):
            for content in (b"{}", BLOB):
                digest = Digest.of(content)
                assert wire("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content, root).status == 201
            manifest = image(b"{}", [BLOB])
            sent = root | {"Content-Type": manifest.media_type}
            assert wire("PUT", f"/v2/{name}/manifests/there", manifest.raw, sent).status == 201
    return made


def rights(role: str, where: str) -> Right:
    """What a role has there, said without the program."""
    if role == "anonymous":
        return Right.READ if where in (PUBLIC, OFFICIAL) else Right.NONE
    if role == "administrator":
        return Right.ADMIN
    if where == OFFICIAL:
        return Right.READ
    if where == ABSENT:
        return Right.ADMIN if role == "owner" else Right.NONE
    return max(ROLES[role], Right.READ) if where == PUBLIC else ROLES[role]


def expected(right: Right, scope: str, robot: bool, takes: str, where: str, allowed: int, request: str) -> int:
    """The status that the rules ask for."""
    held = HOLDS["admin"] if robot else HOLDS[scope]
    if right >= TAKES[takes] and takes in held:
        # The owner may read what is not there: nothing, in its own words.
        gone = where == ABSENT and takes == "pull" and "referrers" not in request
        return 404 if gone else allowed
    return 404 if takes == "pull" else 403


def ask(wire: Wire, where: str, request: str, headers: dict[str, str]) -> Answer:
    method, path, body, more, _, _ = REQUESTS[request]
    path = path.format(blob=Digest.of(BLOB))
    return wire(method, f"/v2/{where}/{path}", body, headers | more | {"Content-Length": str(len(body))})


@pytest.mark.parametrize("scope", HOLDS)
@pytest.mark.parametrize("where", [PUBLIC, PRIVATE, ABSENT, OFFICIAL])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_it_may_with_each_scope(
    server: Hub, world: World, role: str, where: str, scope: str
) -> None:
    headers, right = world.basic(role, scope), rights(role, where)
    # Who may make a repository makes it by asking: each gets one of their own that is not there.
    name = f"{ABSENT}-{role}-{scope}" if where == ABSENT else where
    with Wire(server) as wire:
        found = {request: ask(wire, name, request, headers).status for request in REQUESTS}

    assert found == {
        request: expected(right, scope, role.startswith("robot"), takes, where, allowed, request)
        for request, (_, _, _, _, allowed, takes) in REQUESTS.items()
    }


@pytest.mark.parametrize("where", [PUBLIC, PRIVATE, ABSENT, OFFICIAL])
def test_without_a_name_and_without_a_ticket_all_is_401_with_the_way_to_one(
    server: Hub, world: World, where: str
) -> None:
    with Wire(server) as wire:
        answers = {request: ask(wire, where, request, {}) for request in REQUESTS}

    assert {answer.status for answer in answers.values()} == {401}
    for request, answer in answers.items():
        takes = REQUESTS[request][5]
        challenge = answer.headers.get_all("WWW-Authenticate") or []
        assert challenge[0].startswith(f'Bearer realm="{server.url}/token",service="{server.host}"')
        assert f"repository:{where}:" in challenge[0]
        assert takes in challenge[0].split("scope=")[1]
        assert len(challenge) == 1


@pytest.mark.parametrize("where", [PUBLIC, PRIVATE, ABSENT, OFFICIAL])
def test_with_an_anonymous_ticket_what_is_public_is_pulled_and_the_rest_is_401(
    server: Hub, world: World, where: str
) -> None:
    with Wire(server) as wire:
        query = urlencode({"service": server.host, "scope": f"repository:{where}:pull,push,delete"})
        ticket = wire("GET", f"/token?{query}").json["token"]
        headers = {"Authorization": f"Bearer {ticket}"}
        found = {request: ask(wire, where, request, headers).status for request in REQUESTS}

    reads = rights("anonymous", where) >= Right.READ
    assert found == {
        request: allowed if reads and takes == "pull" else 401
        for request, (_, _, _, _, allowed, takes) in REQUESTS.items()
    }


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("where", [PUBLIC, PRIVATE, ABSENT, OFFICIAL])
def test_a_ticket_gets_what_basic_gets_and_says_what_it_was_granted(
    server: Hub, world: World, role: str, where: str
) -> None:
    basic = world.basic(role, "admin")
    name = f"{ABSENT}-{role}-ticket" if where == ABSENT else where
    with Wire(server) as wire:
        query = urlencode({"service": server.host, "scope": f"repository:{name}:pull,push,delete"})
        ticket = wire("GET", f"/token?{query}", headers=basic).json["token"]
        headers = {"Authorization": f"Bearer {ticket}"}
        by_ticket = {request: ask(wire, name, request, headers).status for request in REQUESTS}
        by_basic = {request: ask(wire, name, request, basic).status for request in REQUESTS}

    assert by_ticket == by_basic


@pytest.mark.parametrize("role", ROLES)
def test_a_ticket_that_was_not_asked_for_this_is_told_what_to_ask_for(server: Hub, world: World, role: str) -> None:
    with Wire(server) as wire:
        query = urlencode({"service": server.host, "scope": "repository:other/place:pull"})
        ticket = wire("GET", f"/token?{query}", headers=world.basic(role, "admin")).json["token"]
        headers = {"Authorization": f"Bearer {ticket}"}
        answers = [ask(wire, PRIVATE, request, headers) for request in REQUESTS]

    assert {answer.status for answer in answers} == {401}
    for answer in answers:
        challenge = answer["www-authenticate"] or ""
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="repository:{PRIVATE}:' in challenge


def hidden(answer: Answer, name: str) -> tuple[int, object, dict[str, str]]:
    """What an answer says, with the repository's name taken out."""
    body = json.loads(answer.body.replace(name.encode(), b"NAME")) if answer.body else None
    lasting = {key: value.replace(name, "NAME") for key, value in answer.lasting.items() if key != "content-length"}
    return answer.status, body, lasting


@pytest.mark.parametrize("role", ["stranger", "member", "anonymous"])
@pytest.mark.parametrize("request_name", REQUESTS)
def test_what_is_hidden_answers_as_what_is_not_there(server: Hub, world: World, role: str, request_name: str) -> None:
    headers = {} if role == "anonymous" else world.basic(role, "admin")
    never = "acme/never-was"
    with Wire(server) as wire:
        there, not_there = ask(wire, PRIVATE, request_name, headers), ask(wire, never, request_name, headers)

    assert hidden(there, PRIVATE) == hidden(not_there, never)


@pytest.mark.parametrize("role", [*ROLES, "anonymous"])
def test_the_catalog_has_what_each_may_read(server: Hub, world: World, role: str) -> None:
    with Wire(server) as wire:
        if role == "anonymous":
            answer = wire("GET", "/v2/_catalog")
        else:
            answer = wire("GET", "/v2/_catalog", headers=world.basic(role, "read"))

    if role == "anonymous":
        assert answer.status == 401
    else:
        reads = [name for name in (PRIVATE, PUBLIC, OFFICIAL) if rights(role, name) >= Right.READ]
        assert answer.json["repositories"] == sorted(reads)


def test_a_blob_is_mounted_only_from_where_it_may_be_read(server: Hub, world: World) -> None:
    digest = Digest.of(BLOB)

    def mount(role: str, query: str) -> int:
        with Wire(server) as wire:
            path = f"/v2/{world.names[role]}/mounted/blobs/uploads/?mount={digest}{query}"
            return wire("POST", path, headers=world.basic(role, "admin") | {"Content-Length": "0"}).status

    assert mount("stranger", f"&from={PRIVATE}") == 202
    assert mount("stranger", "&from=acme/never-was") == 202
    assert mount("stranger", f"&from={PUBLIC}") == 201
    assert mount("collaborator-read", f"&from={PRIVATE}") == 201
