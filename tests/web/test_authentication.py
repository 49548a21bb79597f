"""Who asks on /v2/: what counts as saying so, and what each answer is to whom."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from servers import Hub
from web.tickets import Headers, ask, basic, bearer, signing, ticket
from web.wire import Wire, dial, head_of, image, stamped

from dockyard.oci.digest import Digest
from dockyard.registry.access import Actor, Kind

JSON = {"Content-Type": "application/json"}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def password(accounts_hub: Hub) -> str:
    return accounts_hub.user("grace")


@pytest.fixture(scope="module")
def strangers(accounts_hub: Hub) -> str:
    return accounts_hub.user("heidi")


@pytest.fixture
def grace(password: str) -> Headers:
    return basic("grace", password)


@pytest.fixture
def heidi(strangers: str) -> Headers:
    return basic("heidi", strangers)


@pytest.fixture
def wire(accounts_hub: Hub) -> Iterator[Wire]:
    with Wire(accounts_hub) as opened:
        yield opened


@pytest.fixture
def private(wire: Wire, grace: Headers) -> str:
    """A private repository of grace's, with a tag."""
    name = f"grace/private-{next(_numbers)}"
    made = wire("POST", "/api/v1/repositories", json.dumps({"name": name, "private": True}).encode(), grace | JSON)
    assert made.status == 201, made
    push(wire, name, grace)
    return name


def push(wire: Wire, name: str, headers: Headers, content: bytes = b"{}") -> Digest:
    """Push an image of no layer as ``v1``; return the digest of its one blob."""
    manifest, digest = image(content, []), Digest.of(content)
    assert wire("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content, headers).status == 201
    answer = wire("PUT", f"/v2/{name}/manifests/v1", manifest.raw, headers, content_type=manifest.media_type)
    assert answer.status == 201, answer
    return digest


def test_nothing_is_answered_to_who_says_nothing(wire: Wire, private: str) -> None:
    for method, path in [
        ("GET", "/v2/"), ("GET", "/v2"), ("GET", "/v2/_catalog"), ("GET", f"/v2/{private}/tags/list"),
        ("HEAD", f"/v2/{private}/manifests/v1"), ("PUT", f"/v2/{private}/manifests/v1"), ("BREW", "/v2/"),
        ("POST", "/v2/grace/none/blobs/uploads/"), ("DELETE", "/v2/grace/none/manifests/v1"),
        ("PATCH", f"/v2/{private}/blobs/uploads/{'0' * 32}"),
    ]:  # fmt: skip
        answer = wire(method, path)
        assert answer.status == 401, (method, path)
        assert answer["docker-distribution-api-version"] == "registry/2.0"
        if method != "HEAD":
            assert answer.code == "UNAUTHORIZED"


def test_basic_credentials_are_enough(wire: Wire, private: str, grace: Headers) -> None:
    assert wire("GET", "/v2/", None, grace).json == {}
    assert wire("GET", f"/v2/{private}/manifests/v1", None, grace).status == 200


def test_schemes_are_read_in_any_case(wire: Wire, grace: Headers) -> None:
    scheme, _, rest = grace["Authorization"].partition(" ")
    for form in (f"{scheme.upper()} {rest}", f"{scheme.lower()}   {rest} "):
        assert wire("GET", "/v2/", None, {"Authorization": form}).status == 200
    text = ask(wire).json["token"]
    assert wire("GET", "/v2/", None, {"Authorization": f"bEARER {text}"}).status == 200


@pytest.mark.parametrize(
    "value", ["", "Basic", "Basic Og==", "Basic !", "Bearer", "Bearer ", "Digest x", "Bearer dyp_" + "x" * 40, "é"]
)
def test_what_proves_nothing_is_401_also_where_anybody_may_read(wire: Wire, grace: Headers, value: str) -> None:
    push(wire, "grace/public", grace)
    answer = wire("GET", "/v2/grace/public/manifests/v1", None, {"Authorization": value})

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_cookie_says_nothing_here(wire: Wire, password: str, private: str) -> None:
    with Wire(wire.connection.host + f":{wire.connection.port}") as page:
        begun = page("GET", "/login")
        cookies = "; ".join(value.partition(";")[0] for value in begun.headers.get_all("set-cookie") or [])
    answer = wire("GET", f"/v2/{private}/manifests/v1", None, {"Cookie": cookies + "; dockyard_session=x"})

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_ticket_is_good_for_what_it_was_asked_for_only(wire: Wire, private: str, grace: Headers) -> None:
    pull = ticket(wire, f"repository:{private}:pull", headers=grace)
    assert wire("GET", f"/v2/{private}/manifests/v1", None, pull).status == 200
    for method, path in [
        ("POST", f"/v2/{private}/blobs/uploads/"), ("DELETE", f"/v2/{private}/manifests/v1"),
        ("GET", "/v2/grace/other/manifests/v1"), ("GET", "/v2/_catalog"),
    ]:  # fmt: skip
        assert wire(method, path, None, pull).status == 401, (method, path)
    push_only = ticket(wire, f"repository:{private}:push", headers=grace)
    assert wire("GET", f"/v2/{private}/manifests/v1", None, push_only).status == 401
    assert wire("DELETE", f"/v2/{private}/manifests/v1", None, push_only).status == 401


def test_what_was_asked_and_not_granted_is_hidden_or_denied(
    wire: Wire, private: str, grace: Headers, heidi: Headers
) -> None:
    digest = Digest.of(b"{}")
    answers = []
    for name in (private, "grace/absent"):
        headers = ticket(wire, f"repository:{name}:*", headers=heidi)
        answers += [
            [
                (answer.status, answer.code, answer.json["errors"][0]["message"].replace(name, "NAME"))
                for answer in (
                    wire("GET", f"/v2/{name}/manifests/v1", None, headers),
                    wire("GET", f"/v2/{name}/blobs/{digest}", None, headers),
                    wire("GET", f"/v2/{name}/tags/list", None, headers),
                    wire("POST", f"/v2/{name}/blobs/uploads/", None, headers),
                    wire("PUT", f"/v2/{name}/manifests/v1", b"{}", headers),
                    wire("DELETE", f"/v2/{name}/manifests/v1", None, headers),
                )
            ]
        ]

    assert answers[0] == answers[1]
    assert [(status, code) for status, code, _ in answers[0]] == [
        (404, "NAME_UNKNOWN"), (404, "BLOB_UNKNOWN"), (404, "NAME_UNKNOWN"),
        (403, "DENIED"), (403, "DENIED"), (403, "DENIED"),
    ]  # fmt: skip
    assert answers[0][3][2] == "requested access to the resource is denied"


def test_nobodys_ticket_sees_the_same_of_private_and_absent(wire: Wire, private: str) -> None:
    answers = []
    for name in (private, "grace/absent"):
        headers = ticket(wire, f"repository:{name}:pull")
        answer = wire("GET", f"/v2/{name}/manifests/v1", None, headers)
        answers.append((answer.status, answer.body.replace(name.encode(), b"NAME"), sorted(answer.lasting)))

    assert answers[0] == answers[1]
    assert answers[0][0] == 401


def test_a_mount_from_what_is_hidden_starts_an_upload(wire: Wire, private: str, grace: Headers, heidi: Headers) -> None:
    digest = push(wire, private, grace, stamped())
    for origin in (f"&from={private}", "&from=grace/absent", "", "&from=NOT A NAME".replace(" ", "%20")):
        path = f"/v2/heidi/app/blobs/uploads/?mount={digest}{origin}"
        scopes = ("repository:heidi/app:pull,push", f"repository:{private}:pull")
        for headers in (ticket(wire, *scopes, headers=heidi), ticket(wire, scopes[0], headers=heidi), heidi):
            assert wire("POST", path, None, headers | {"Content-Length": "0"}).status == 202
    scopes = ("repository:grace/mounted:pull,push", f"repository:{private}:pull")
    path = f"/v2/grace/mounted/blobs/uploads/?mount={digest}&from={private}"
    headers = {"Content-Length": "0"}
    assert wire("POST", path, None, ticket(wire, scopes[0], headers=grace) | headers).status == 202
    assert wire("POST", path, None, ticket(wire, *scopes, headers=grace) | headers).status == 201


def test_an_upload_goes_on_with_a_ticket_that_is_over(
    accounts_hub: Hub, wire: Wire, grace: Headers, heidi: Headers
) -> None:
    name, content = "grace/slow", stamped()
    pairs = [(action, name) for action in ("pull", "push")]

    def over(headers: Headers, pairs: list[tuple[str, str]] = pairs) -> Headers:
        fresh = ask(wire, headers=headers).json["token"]
        read = signing(accounts_hub).read(fresh)
        actor = Actor(read.account, "whoever", Kind.USER, proof=read.proof)
        return bearer(signing(accounts_hub, ago=4000).issue(actor, pairs, pairs).text)

    location = wire("POST", f"/v2/{name}/blobs/uploads/", None, grace | {"Content-Length": "0"})["location"]
    assert location

    for method in ("GET", "DELETE"):
        assert wire(method, location, None, over(grace)).status == 401
    for others in (over(heidi), over(grace, []), over(grace, [("pull", name)])):
        assert wire("PATCH", location, content, others).status == 401
    assert wire("POST", f"/v2/{name}/blobs/uploads/", None, over(grace)).status == 401
    assert wire("GET", f"/v2/{name}/blobs/{Digest.of(content)}", None, over(grace)).status == 401
    assert wire("PATCH", f"/v2/{name}/blobs/uploads/{'0' * 32}", content, over(grace)).status == 401
    assert wire("PATCH", location, content, over(grace)).status == 202
    assert wire("PUT", f"{location}?digest={Digest.of(content)}", b"", over(grace)).status == 201
    assert wire("PUT", f"{location}?digest={Digest.of(content)}", b"", over(grace)).status == 401


@pytest.mark.parametrize("expect", [b"Expect: 100-continue\r\n", b""])
@pytest.mark.parametrize("who", ["nobody", "heidi"])
def test_who_may_not_push_hears_so_before_the_body_is_read(
    accounts_hub: Hub, who: str, expect: bytes, heidi: Headers
) -> None:
    credentials = f"Authorization: {heidi['Authorization']}\r\n".encode() if who == "heidi" else b""
    digest = Digest.of(b"never sent")
    with dial(accounts_hub) as peer:
        peer.sendall(
            f"POST /v2/grace/big/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n".encode()
            + credentials + expect + b"Content-Length: 100000000000\r\n\r\n"
        )  # fmt: skip
        head = head_of(peer)

    assert head.startswith("HTTP/1.1 403 " if who == "heidi" else "HTTP/1.1 401 ")
    assert "connection: close" in head.lower()


def test_the_catalog_is_what_the_asker_may_read(wire: Wire, private: str, grace: Headers, heidi: Headers) -> None:
    def listed(headers: Headers) -> list[str]:
        names: list[str] = wire("GET", "/v2/_catalog", None, headers).json["repositories"]
        return names

    push(wire, "grace/public", grace)

    assert {private, "grace/public"} <= set(listed(grace))
    assert private not in listed(heidi) and "grace/public" in listed(heidi)
    assert private in listed(ticket(wire, "registry:catalog:*", headers=grace))
    assert wire("GET", "/v2/_catalog", None, ticket(wire, "registry:catalog:*")).status == 401


def test_every_worker_knows_at_once_that_a_token_is_revoked(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts", workers=2)
    with Wire(hub) as wire:
        admin = basic(hub.admin, hub.password)
        made = wire("POST", "/api/v1/account/tokens", b'{"name":"ci","scopes":["read"]}', admin | JSON)
        assert made.status == 201, made
        id, secret = made.json["token"]["id"], made.json["secret"]
        tickets = ticket(wire, headers=basic(hub.admin, secret))
        wires = [Wire(hub) for _ in range(8)]
        before = [each("GET", "/v2/", None, tickets).status for each in wires]
        assert wire("DELETE", f"/api/v1/account/tokens/{id}", None, admin).status == 204
        after = [each("GET", "/v2/", None, tickets).status for each in wires]
        for each in wires:
            each.close()

    assert (set(before), set(after)) == ({200}, {401})
