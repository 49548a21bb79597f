"""Personal access tokens over the JSON API."""

from __future__ import annotations

import pytest
from web.json.api import Api, bearer


def test_a_token_is_shown_once_and_listed_without_its_secret(ada: Api) -> None:
    made = ada("POST", "/account/tokens", {"name": "ci", "scopes": ["write", "read"], "expires_in": 3600})
    listed = ada("GET", "/account/tokens")

    assert made.status == 201
    assert made.json["secret"].startswith("dyp_")
    assert made.json["secret"].encode() not in listed.body
    assert {**listed.json["items"][0], "used": None} == made.json["token"]
    assert made.json["token"]["scopes"] == ["read", "write"]
    assert made.json["token"]["expires"] > made.json["token"]["created"]


def test_a_whole_number_may_be_written_with_a_point(ada: Api) -> None:
    made = ada("POST", "/account/tokens", b'{"name": "ci", "scopes": ["read"], "expires_in": 3600.0}')
    broken = ada("POST", "/account/tokens", b'{"name": "ci", "scopes": ["read"], "expires_in": 3600.5}')

    assert (made.status, broken.status) == (201, 400)


def test_a_revoked_token_is_refused_at_once(ada: Api, nobody: Api) -> None:
    made = ada.ok("POST", "/account/tokens", {"name": "ci", "scopes": ["read"]})
    assert nobody("GET", "/account", headers=bearer(made["secret"])).status == 200
    assert ada("DELETE", f"/account/tokens/{made['token']['id']}").status == 204

    assert nobody("GET", "/account", headers=bearer(made["secret"])).status == 401
    assert ada("DELETE", f"/account/tokens/{made['token']['id']}").status == 404


def test_a_token_of_somebody_else_is_not_found(ada: Api, bob: Api, boss: Api, nobody: Api) -> None:
    made = ada.ok("POST", "/account/tokens", {"name": "ci", "scopes": ["read"]})

    for other in (bob, boss):
        answer = other("DELETE", f"/account/tokens/{made['token']['id']}")
        absent = other("DELETE", "/account/tokens/999999999")
        assert answer.status == absent.status == 404
    assert nobody("GET", "/account", headers=bearer(made["secret"])).status == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "x"}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]},
     {"name": "", "scopes": ["read"]},
     {"name": " ", "scopes": ["read"]}, {"name": "a\x00", "scopes": ["read"]}, {"name": "x" * 101, "scopes": ["read"]},
     {"name": "x", "scopes": "read"}, {"name": "x", "scopes": ["read"], "expires_in": 0},
     {"name": "x", "scopes": ["read"], "expires_in": -60}, {"name": "x", "scopes": ["read"], "expires_in": 2**63},
     {"name": "x", "scopes": ["read"], "expires_in": "3600"}, {"name": "x", "scopes": ["read"], "account": 1},
     {"name": "x", "scopes": ["read"], "kind": "robot"}],
    ids=repr,
)  # fmt: skip
def test_a_token_that_can_not_be_is_refused(somebody: Api, body: dict[str, object]) -> None:
    before = somebody.items("/account/tokens")

    assert somebody("POST", "/account/tokens", body).status == 400
    assert somebody.items("/account/tokens") == before
