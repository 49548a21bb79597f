"""The challenge of each 401: where to ask for a ticket, and for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from servers import Hub
from web.tickets import ask, basic, bearer
from web.wire import Answer, Wire

from dockyard.content.challenges import parse_challenges


@pytest.fixture
def wire(accounts_hub: Hub) -> Iterator[Wire]:
    with Wire(accounts_hub) as opened:
        yield opened


def challenge(answer: Answer) -> dict[str, str]:
    """The parameters of the one challenge, as our own client reads them."""
    assert answer.status == 401, answer
    [found] = parse_challenges(answer.headers.get_all("www-authenticate") or [])
    assert found.scheme == "bearer"
    return dict(found.parameters)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", None),
        ("GET", "/v2", None),
        ("BREW", "/v2/a/b/manifests/v1", None),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
        ("GET", "/v2/a/b/referrers/sha256:x", "repository:a/b:pull"),
        ("GET", "/v2/a/b/blobs/sha256:x", "repository:a/b:pull"),
        ("DELETE", "/v2/a/b/blobs/sha256:x", "repository:a/b:delete"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=c/d", "repository:a/b:pull,push repository:c/d:pull"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=a/b", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=c%22,x=%22", "repository:a/b:pull,push"),
        ("GET", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("PATCH", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("PUT", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("GET", "/v2/deep/er/still/tags/list", "repository:deep/er/still:pull"),
    ],
)
def test_each_request_is_told_what_to_ask_for(
    accounts_hub: Hub, wire: Wire, method: str, path: str, scope: str | None
) -> None:
    said = challenge(wire(method, path))

    assert said == {"realm": f"{accounts_hub.url}/token", "service": accounts_hub.host} | (
        {"scope": scope} if scope else {}
    )


def test_a_ticket_that_did_not_ask_is_told_so(accounts_hub: Hub, wire: Wire) -> None:
    headers = bearer(ask(wire, "repository:a/b:pull").json["token"])

    assert challenge(wire("PUT", "/v2/a/b/manifests/v1", b"", headers)) == {
        "realm": f"{accounts_hub.url}/token", "service": accounts_hub.host,
        "scope": "repository:a/b:pull,push", "error": "insufficient_scope",
    }  # fmt: skip
    assert "error" not in challenge(wire("GET", "/v2/a/b/manifests/v1", None, headers))


def test_a_ticket_asked_for_by_the_challenge_is_what_the_request_needs(accounts_hub: Hub, wire: Wire) -> None:
    admin = basic(accounts_hub.admin, accounts_hub.password)
    for method, path, status in [
        ("GET", "/v2/_catalog", 200), ("GET", "/v2/challenged/a/manifests/v1", 404),
        ("DELETE", "/v2/challenged/a/manifests/v1", 404), ("POST", "/v2/challenged/a/blobs/uploads/", 202),
    ]:  # fmt: skip
        said = challenge(wire(method, path, None, {"Content-Length": "0"}))
        text = ask(wire, said["scope"], headers=admin).json["token"]
        assert wire(method, path, None, bearer(text) | {"Content-Length": "0"}).status == status


def test_the_address_is_that_of_the_settings_and_never_the_host_that_was_asked_for(
    start_hub: Callable[..., Hub], accounts_hub: Hub, wire: Wire
) -> None:
    lies = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    named = start_hub("--url", "https://hub.example", auth="accounts", workers=1)

    assert challenge(wire("GET", "/v2/", None, lies))["realm"] == f"{accounts_hub.url}/token"
    with Wire(named) as other:
        said = challenge(other("GET", "/v2/", None, lies))
        assert said == {"realm": "https://hub.example/token", "service": "hub.example"}
