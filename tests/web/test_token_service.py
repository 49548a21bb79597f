"""The token service: who proves who they are gets what they ask and may, and nobody gets more."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator

import pytest
from servers import Hub
from web.tickets import Headers, ask, basic, bearer, claims, post, ticket
from web.wire import Answer, Wire, dial, head_of

from dockyard.oci.digest import Digest
from dockyard.web.scopes import MOST, parse_scopes
from dockyard.web.token import LARGEST_FORM


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub of this file's own, as wrong credentials count against the address that they come from."""
    server = Hub(tmp_path_factory.mktemp("tokens") / "data", auth="accounts", workers=1)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def ada(served: Hub) -> str:
    return served.user("ada")


@pytest.fixture
def wire(served: Hub) -> Iterator[Wire]:
    with Wire(served) as opened:
        yield opened


def granted(answer: Answer) -> dict[str, list[int]]:
    """What a ticket says of each repository: bits of what was asked and granted (1 pull, 2 push, 4 delete)."""
    assert answer.status == 200, answer
    found: dict[str, list[int]] = claims(answer.json["token"])["may"]
    return found


def test_an_answer_has_what_clients_look_for(wire: Wire, ada: str) -> None:
    answer = ask(wire, "repository:ada/app:pull,push", headers=basic("ada", ada))
    issued = dt.datetime.fromisoformat(answer.json["issued_at"])

    assert answer.json["token"] == answer.json["access_token"]
    assert answer.json["expires_in"] == 300
    assert issued.utcoffset() == dt.timedelta(0) and abs(issued - dt.datetime.now(dt.UTC)).seconds < 60
    assert answer.json["scope"] == "repository:ada/app:pull,push"
    assert "refresh_token" not in answer.json
    assert (answer["cache-control"], answer["content-type"]) == ("no-store", "application/json")


def test_a_ticket_states_who_what_was_asked_and_what_was_granted(served: Hub, wire: Wire, ada: str) -> None:
    answer = ask(
        wire, "repository:ada/app:push,pull,delete", "repository:boss/app:pull,push", headers=basic("ada", ada)
    )
    said = claims(answer.json["token"])

    assert said["may"] == {"ada/app": [7, 7], "boss/app": [3, 0]}
    assert said["iss"] == said["aud"] == served.host
    assert said["exp"] - said["iat"] == 300
    assert said["sub"].isdecimal()


@pytest.mark.parametrize(
    ("scopes", "asked"),
    [
        (["repository:ada/a:pull repository:ada/b:push"], {"ada/a": [1, 1], "ada/b": [2, 2]}),
        (["repository:ada/a:pull", "repository:ada/a:push"], {"ada/a": [3, 3]}),
        (["repository:ada/a:*"], {"ada/a": [7, 7]}),
        (["repository(plugin):ada/a:pull"], {"ada/a": [1, 1]}),
        (["repository:ada/deep/er/a:pull"], {"ada/deep/er/a": [1, 1]}),
        (["repository:localhost:5000/ada/a:pull repository:ada/a:pull"], {"ada/a": [1, 1]}),
        (["repository:bob/a:pull"], {"bob/a": [1, 0]}),
        (["repository:ada/a:pull,fly"], {"ada/a": [1, 1]}),
        (["registry:catalog:*"], {"": [8, 8]}),
        (["", "  "], {}),
        ([], {}),
        (["aircraft:concorde:fly", "repository:ada/a", "repository::pull", ":::", "repository:UP:pull", "é"], {}),
    ],
)
def test_scopes_are_read_in_every_form(wire: Wire, ada: str, scopes: list[str], asked: dict[str, list[int]]) -> None:
    assert granted(ask(wire, *scopes, headers=basic("ada", ada))) == asked


def test_nobody_gets_what_is_public_to_pull_and_nothing_else(served: Hub, wire: Wire, ada: str) -> None:
    name = "ada/public"
    push = ticket(wire, f"repository:{name}:pull,push", headers=basic("ada", ada))
    content = b"content"
    wire("POST", f"/v2/{name}/blobs/uploads/?digest={Digest.of(content)}", content, push)
    answer = ask(wire, f"repository:{name}:pull,push,delete", "repository:ada/none:pull", "registry:catalog:*")

    assert granted(answer) == {name: [7, 1], "ada/none": [1, 0], "": [8, 0]}
    assert "sub" not in claims(answer.json["token"])
    assert wire("GET", f"/v2/{name}/blobs/{Digest.of(content)}", None, bearer(answer.json["token"])).body == content


def test_a_login_is_kept_only_where_it_is_wanted_and_somebody_is_there(wire: Wire, ada: str) -> None:
    offline = ask(wire, headers=basic("ada", ada), offline_token="true", client_id="docker")

    assert offline.json["refresh_token"].startswith("dyl_")
    assert "refresh_token" not in ask(wire, offline_token="true").json
    assert "refresh_token" not in ask(wire, headers=basic("ada", ada), offline_token="false").json


def test_a_form_gives_the_same(wire: Wire, ada: str) -> None:
    first = post(
        wire, "repository:ada/app:pull", grant_type="password", username="ada", password=ada, access_type="offline",
        client_id="docker", service="hub",
    )  # fmt: skip
    login = first.json["refresh_token"]
    again = post(wire, "repository:ada/app:*", grant_type="refresh_token", refresh_token=login, client_id="docker")

    assert granted(first) == {"ada/app": [1, 1]}
    assert granted(again) == {"ada/app": [7, 7]}
    assert again.json["refresh_token"] == login
    assert "refresh_token" not in post(wire, grant_type="password", username="ada", password=ada).json
    assert granted(ask(wire, "repository:ada/app:pull", headers=basic("<token>", login))) == {"ada/app": [1, 1]}


WRONG: list[Headers] = [
    basic("ada", "another"),
    basic("nobody", "another"),
    basic("ada", ""),
    basic("", ""),
    basic("<token>", "dyl_" + "x" * 40),
    bearer("x"),
    {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic YWRh"},
    {"Authorization": "Basic /w=="},
    {"Authorization": ""},
    {"Authorization": "Negotiate abc"},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
def test_wrong_credentials_are_never_taken_for_none(wire: Wire, headers: Headers) -> None:
    answer = ask(wire, "repository:ada/public:pull", headers=headers)

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert (answer["www-authenticate"], answer["cache-control"]) == ('Basic realm="dockyard"', "no-store")
    assert "token" not in answer.json


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "username": "ada", "password": "another"},
        {"grant_type": "password"},
        {"grant_type": "refresh_token", "refresh_token": "dyl_" + "x" * 40},
        {"grant_type": "refresh_token"},
    ],
    ids=str,
)
def test_a_form_with_wrong_credentials_is_refused(wire: Wire, form: dict[str, str]) -> None:
    answer = post(wire, "repository:ada/public:pull", **form)

    assert (answer.status, answer.code, answer["cache-control"]) == (401, "UNAUTHORIZED", "no-store")


@pytest.mark.parametrize("body", [b"", b"grant_type=", b"grant_type=magic", b'{"grant_type":"password"}', b"\xff=%ff"])
def test_a_form_of_no_known_kind_is_invalid(wire: Wire, body: bytes) -> None:
    answer = wire("POST", "/token", body)

    assert (answer.status, answer.code, answer["cache-control"]) == (400, "INVALID", "no-store")


def test_a_form_has_a_largest_size(wire: Wire) -> None:
    just = b"grant_type=magic&x="
    answers = [wire("POST", "/token", just.ljust(size, b"x")) for size in (LARGEST_FORM, LARGEST_FORM + 1)]
    chunked = wire("POST", "/token", iter([b"x" * 1024] * 65))

    assert [answer.status for answer in (*answers, chunked)] == [400, 413, 413]
    assert answers[1]["cache-control"] == "no-store"


def test_a_form_that_is_too_large_is_refused_before_it_is_sent(served: Hub) -> None:
    with dial(served) as peer:
        peer.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n")

        assert head_of(peer).startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
def test_other_methods_are_not_done_here(wire: Wire, method: str) -> None:
    answer = wire(method, "/token")

    assert (answer.status, answer["allow"], answer["cache-control"]) == (405, "GET, POST", "no-store")


def test_an_open_hub_gives_no_tokens(hub: Hub) -> None:
    with Wire(hub) as wire:
        assert ask(wire).status == 404
        assert wire("GET", "/v2/", None, {"Authorization": "Basic !!!"}).status == 200


def test_a_pushed_token_of_the_token_service_is_no_login(wire: Wire, ada: str) -> None:
    text = ask(wire, headers=basic("ada", ada)).json["token"]

    assert post(wire, grant_type="refresh_token", refresh_token=text).status == 401
    assert ask(wire, headers=basic("<token>", text)).status == 401


def test_the_log_says_who_asked_and_no_credential(served: Hub, wire: Wire, ada: str) -> None:
    login = ask(wire, headers=basic("ada", ada), offline_token="true").json["refresh_token"]
    answer = post(wire, grant_type="refresh_token", refresh_token=login)
    wire("GET", f"/token?refresh_token={login}", None, basic("ada", ada) | {"X-Request-Id": "the-last"})
    deadline = time.monotonic() + 20
    while '"the-last"' not in (text := served.log.read_text()):
        assert time.monotonic() < deadline
    [line] = [json.loads(line) for line in text.splitlines() if '"the-last"' in line]

    assert (line["route"], line["user"], line["status"]) == ("token", "ada", 200)
    for secret in (ada, login, answer.json["token"]):
        assert secret not in text


def test_scopes_come_in_the_order_they_were_asked_for() -> None:
    asked = parse_scopes(["repository:b/b:push,pull repository:a/a:pull", "repository:b/b:pull"])

    assert asked == [("pull", "b/b"), ("push", "b/b"), ("pull", "a/a")]


def test_very_many_repositories_are_not_all_looked_up(wire: Wire) -> None:
    texts = [f"repository:a/b{number}:pull" for number in range(3 * MOST)]

    assert parse_scopes(texts) == [("pull", f"a/b{number}") for number in range(MOST)]
    answer = ask(wire, " ".join(texts))
    assert answer.status == 200
    assert 100 < len(granted(answer)) <= MOST
