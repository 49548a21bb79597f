"""What holds for every endpoint: who asks, what is read, and what every answer has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from canary import WRONG_PASSWORD
from web.json.api import PREFIX, Api, basic, bearer
from web.wire import dial, head_of

from dockyard.web.json import api
from dockyard.web.json.api import ENDPOINTS
from dockyard.web.json.endpoint import BODY_LIMIT, Endpoint
from dockyard.web.json.fields import PARAMETERS

if TYPE_CHECKING:
    from servers import Hub

EXAMPLES = {
    "org": "acme", "team": "crew", "user": "somebody", "account": "somebody", "who": "somebody", "robot": "acme+ci",
    "id": "123456789", "repo": "acme/app",
}  # fmt: skip
CLOSED = [found for found in ENDPOINTS if not found.public]
WITH_BODY = [found for found in ENDPOINTS if found.body]


def name_of(found: Endpoint) -> str:
    return f"{found.method} {found.path}"


def path_of(found: Endpoint) -> str:
    """The path with something in its braces that is not there."""
    return found.path.format(**EXAMPLES)


def test_every_parameter_of_a_path_has_an_example_here() -> None:
    assert EXAMPLES.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("found", CLOSED, ids=name_of)
def test_who_does_not_say_who_they_are_is_asked(nobody: Api, found: Endpoint) -> None:
    answer = nobody(found.method, path_of(found), {} if found.body else None)

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert (answer["www-authenticate"] or "").startswith("Basic realm=")


@pytest.mark.parametrize("found", ENDPOINTS, ids=name_of)
def test_wrong_credentials_are_refused_everywhere(nobody: Api, found: Endpoint) -> None:
    answer = nobody(found.method, path_of(found), headers=bearer("dyp_" + "x" * 40))

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("found", WITH_BODY, ids=name_of)
def test_a_field_that_is_not_declared_is_refused(boss: Api, found: Endpoint) -> None:
    """So no request makes anybody an administrator or owner by naming a column."""
    answer = boss(found.method, path_of(found), {"id": 1, "owner_id": 1, "kind": "user"})

    assert (answer.status, answer.code) == (400, "INVALID")


@pytest.mark.parametrize("found", WITH_BODY, ids=name_of)
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{", b"{}{}", b"\xff", b"\xef\xbb\xbf{}", b"[" * 50_000, b'{"a":' * 9_000],
    ids=["empty", "null", "list", "text", "open", "two", "latin", "bom", "deep list", "deep object"],
)
def test_a_body_that_is_no_object_is_refused(boss: Api, found: Endpoint, body: bytes) -> None:
    answer = boss(found.method, path_of(found), body)

    assert (answer.status, answer.code) == (400, "INVALID")


@pytest.mark.parametrize("found", WITH_BODY, ids=name_of)
def test_a_body_of_another_kind_is_refused(boss: Api, found: Endpoint) -> None:
    answer = boss(found.method, path_of(found), b"name=x", {"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status, answer.code) == (400, "INVALID")


@pytest.mark.parametrize("found", WITH_BODY, ids=name_of)
def test_a_body_that_is_too_long_is_refused(boss: Api, found: Endpoint) -> None:
    answer = boss(found.method, path_of(found), b" " * (BODY_LIMIT + 1))

    assert (answer.status, answer.code) == (413, "SIZE_INVALID")


def test_a_body_without_an_announced_length_is_bounded_too(boss: Api) -> None:
    headers = {**boss.credentials, "Content-Type": "application/json"}
    answer = boss.plain("POST", PREFIX + "/orgs", iter([b" " * 32_768] * 3), headers)

    assert answer.status == 413


@pytest.mark.parametrize("path", sorted({found.path for found in ENDPOINTS}))
def test_another_method_is_refused_with_those_that_there_are(nobody: Api, path: str) -> None:
    there = {found.method for found in ENDPOINTS if found.path == path}
    answer = nobody("OPTIONS", path.format(**EXAMPLES))

    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert set((answer["allow"] or "").split(", ")) == there | ({"HEAD"} if "GET" in there else set())


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nothing", "/orgs/", "//orgs", "/orgs//teams", "/../../v2/", "/account/../users", "/%6frgs",
     "/repositories/", "/repositories/a/b/-/", "/repositories/a/b/-/nothing",
     "/orgs/acme/teams/crew/repositories/", "/orgs%2Facme", "/account/tokens/x", "/account/tokens/-1",
     "/account/tokens/%31%00", "/account/tokens/99999999999999999999999999", "/account/tokens/0x1"],
)  # fmt: skip
def test_a_path_that_nothing_lives_at_is_not_found(boss: Api, path: str) -> None:
    answer = boss("DELETE" if "tokens" in path else "GET", path)

    assert answer.status == 404
    assert answer["content-type"] == "application/json"


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "%2E%2e%2fusers", "a%00b", "%00", "a%0a", "ab%0a", "A", "Acme", "%C3%A9t%C3%A9", "a%20b", "a%2Fb",
     "%ff", "%u0041", "a%252Fb", "x" * 31, "x" * 5000, "-ab", "ab-", "a..b", "ab;id=1", "%EF%BC%A1b"],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["/orgs/", "/accounts/"])
def test_a_name_that_can_not_be_is_refused(boss: Api, prefix: str, name: str) -> None:
    answer = boss("GET", prefix + name)

    assert answer.status == 400
    assert answer.code in ("NAME_INVALID", "INVALID")


@pytest.mark.parametrize(
    "name",
    ["..", "-/collaborators", "a/../b", "a/%2e%2e/b", "a//b", "a/", "%2Fa", "a/b%00", "a/b%0a", "A/b", "a/b:tag",
     "a/%ff", "a" * 256,     "a%252Fb", "a/b@sha256:00", "a/b%20"],
)  # fmt: skip
def test_a_repository_name_that_can_not_be_is_refused(boss: Api, name: str) -> None:
    answer = boss("GET", "/repositories/" + name)

    assert answer.status == 400
    assert answer.code in ("NAME_INVALID", "INVALID")


@pytest.mark.parametrize(
    "query",
    ["n=0", "n=101", "n=-1", "n=x", "n=", "n=9223372036854775808", "n=1&n=2", "after=%00", "x=1", "q=%ff", "q=%00",
     "after=" + "x" * 256, "&".join(f"x{n}=1" for n in range(100))],
)  # fmt: skip
def test_a_query_that_can_not_be_is_refused(nobody: Api, query: str) -> None:
    answer = nobody("GET", f"/repositories?{query}")

    assert (answer.status, answer.code) == (400, "INVALID")


@pytest.mark.parametrize("path", ["/openapi.json", "/nothing", "/account", "/repositories/absent"])
def test_every_answer_is_kept_by_nobody_and_shown_as_nothing(nobody: Api, path: str) -> None:
    answer = nobody("GET", path)

    assert answer["cache-control"] == "no-store"
    assert answer["x-content-type-options"] == "nosniff"
    assert (answer["content-security-policy"] or "").startswith("default-src 'none'")
    assert re.fullmatch(r"[\w.-]{1,64}", answer["x-request-id"] or "")


def test_head_answers_as_get_without_the_body(nobody: Api) -> None:
    head, got = nobody("HEAD", "/openapi.json"), nobody("GET", "/openapi.json")

    assert (head.status, head.body) == (200, b"")
    assert head.lasting == got.lasting


def test_the_document_is_the_one_of_the_code(nobody: Api) -> None:
    document = nobody.ok("GET", "/openapi.json")

    assert document == api.document()
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(found.method, found.path) for found in ENDPOINTS}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(ENDPOINTS)


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic YQ==", "Bearer", "Bearer x", "Digest x", "Basic " + "A" * 5000, "Basic \u00ff"],
)
def test_credentials_that_can_not_be_read_are_refused(nobody: Api, authorization: str) -> None:
    answer = nobody("GET", "/repositories", headers={"Authorization": authorization})

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_wrong_password_is_refused_as_an_unknown_user_is(ada: Api, nobody: Api) -> None:
    wrong = nobody("GET", "/account", headers=basic(ada.name, WRONG_PASSWORD))
    unknown = nobody("GET", "/account", headers=basic("nobody-at-all", WRONG_PASSWORD))

    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body


def test_a_token_of_the_token_service_is_none_of_this_api(ada: Api, nobody: Api) -> None:
    token = ada.plain("GET", f"/token?service={ada.hub.host}", headers=basic(ada.name, ada.password))
    assert token.status == 200, token.body

    assert nobody("GET", "/account", headers=bearer(token.json["token"])).status == 401


def test_a_cookie_alone_counts_for_nothing(nobody: Api) -> None:
    answer = nobody("GET", "/account", headers={"Cookie": "dockyard_session=x"})

    assert answer.status == 401
    assert answer["www-authenticate"] is None


def test_a_body_that_stops_short_is_answered(api_hub: Hub) -> None:
    with dial(api_hub) as peer:
        headers = "".join(f"{key}: {value}\r\n" for key, value in basic(api_hub.admin, api_hub.password).items())
        peer.sendall(
            f"POST {PREFIX}/orgs HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\n"
            f"Content-Length: 100\r\n\r\n{{".encode()
        )
        peer.shutdown(1)

        assert head_of(peer).startswith("HTTP/1.1 400 ")


def test_requests_are_counted_under_a_name_of_their_own(nobody: Api) -> None:
    nobody("GET", "/accounts/absent")
    numbers = nobody.plain("GET", "/metrics").body.decode()

    assert 'dockyard_http_requests_total{method="GET",route="api",status="404"}' in numbers
