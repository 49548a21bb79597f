"""The own account over the JSON API: settings, password, second factor, sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyotp
import pytest
from canary import OTHER_PASSWORD, WRONG_PASSWORD
from web.json.api import Api, basic, bearer

if TYPE_CHECKING:
    from servers import Hub


def test_an_account_shows_itself_and_its_settings_change_one_by_one(ada: Api) -> None:
    before = ada.ok("GET", "/account")
    changed = ada.ok("PATCH", "/account", {"full_name": "Ada Łovelace ✓", "email": "ada@example.org"})

    assert before["name"] == ada.name
    assert not before["administrator"] and not before["second_factor"] and not before["default_private"]
    assert changed == before | {"full_name": "Ada Łovelace ✓", "email": "ada@example.org"}
    assert ada.ok("PATCH", "/account", {"default_private": True}) == changed | {"default_private": True}
    assert ada.ok("PATCH", "/account", {}) == ada.ok("GET", "/account")


@pytest.mark.parametrize(
    "change",
    [{"administrator": True}, {"name": "boss"}, {"blocked": None}, {"second_factor": True}, {"kind": "organisation"},
     {"full_name": None}, {"full_name": 1}, {"full_name": "a\x00b"}, {"full_name": "a\nb"}, {"full_name": "x" * 101},
     {"default_private": "yes"}, {"default_private": 1}, {"email": "nobody"}, {"email": "a b@c"},
     {"full_name": "\u202e"}],
    ids=repr,
)  # fmt: skip
def test_what_can_not_be_set_is_refused_and_changes_nothing(somebody: Api, change: dict[str, object]) -> None:
    before = somebody.ok("GET", "/account")
    answer = somebody("PATCH", "/account", {"full_name": "Mallory"} | change)

    assert (answer.status, answer.code) == (400, "INVALID")
    assert somebody.ok("GET", "/account") == before


def test_a_new_password_takes_the_place_of_the_old_one(ada: Api, nobody: Api) -> None:
    assert ada("PUT", "/account/password", {"current": WRONG_PASSWORD, "new": OTHER_PASSWORD}).status == 401
    assert ada("PUT", "/account/password", {"current": ada.password, "new": "short"}).status == 400
    assert ada("PUT", "/account/password", {"current": ada.password, "new": OTHER_PASSWORD}).status == 204

    assert nobody("GET", "/account", headers=basic(ada.name, ada.password)).status == 401
    assert nobody("GET", "/account", headers=basic(ada.name, OTHER_PASSWORD)).status == 200


def test_with_a_second_factor_only_tokens_are_taken(ada: Api, nobody: Api) -> None:
    token = bearer(ada.ok("POST", "/account/tokens", {"name": "laptop", "scopes": ["admin"]})["secret"])
    begun = ada.ok("POST", "/account/second-factor", {"password": ada.password})
    totp = pyotp.TOTP(begun["secret"])

    assert begun["uri"].startswith("otpauth://totp/")
    assert ada("PUT", "/account/second-factor", {"code": "000000x"}).status == 400
    assert len(ada.ok("PUT", "/account/second-factor", {"code": totp.now()})["codes"]) == 10
    refused = nobody("GET", "/account", headers=basic(ada.name, ada.password))
    assert refused.status == 401
    assert "token" in refused.json["errors"][0]["message"]
    assert nobody("GET", "/account", headers=token).json["second_factor"] is True


def test_a_second_factor_is_turned_off_with_both_factors(ada: Api, nobody: Api) -> None:
    token = bearer(ada.ok("POST", "/account/tokens", {"name": "laptop", "scopes": ["admin"]})["secret"])
    secret = ada.ok("POST", "/account/second-factor", {"password": ada.password})["secret"]
    codes = ada.ok("PUT", "/account/second-factor", {"code": pyotp.TOTP(secret).now()})["codes"]
    path = "/account/second-factor"

    assert nobody("DELETE", path, {"password": WRONG_PASSWORD, "code": codes[0]}, token).status == 401
    assert nobody("DELETE", path, {"password": ada.password, "code": "nonsense"}, token).status == 401
    assert nobody("DELETE", path, {"password": ada.password, "code": codes[0]}, token).status == 204
    assert nobody("DELETE", path, {"password": ada.password, "code": codes[1]}, token).status == 409
    assert nobody("GET", "/account", headers=basic(ada.name, ada.password)).status == 200


def test_robots_have_no_account_of_their_own(ada: Api, nobody: Api) -> None:
    robot = ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": []})

    for method, path in (("GET", "/account"), ("PATCH", "/account"), ("GET", "/account/sessions")):
        assert nobody(method, path, {} if method == "PATCH" else None, bearer(robot["secret"])).status == 403


def test_a_session_of_somebody_else_is_not_found(ada: Api) -> None:
    assert ada.items("/account/sessions") == []
    for session in range(1, 20):
        assert ada("DELETE", f"/account/sessions/{session}").status == 404


def test_what_a_token_is_not_good_for_is_denied(ada: Api, api_hub: Hub) -> None:
    secret = ada.ok("POST", "/account/tokens", {"name": "reader", "scopes": ["read"]})["secret"]
    with Api(api_hub) as reader:
        reader.credentials = bearer(secret)

        assert reader("GET", "/account").status == 200
        assert reader("PATCH", "/account", {"full_name": "x"}).status == 403
        assert reader("POST", "/account/tokens", {"name": "more", "scopes": ["admin"]}).status == 403
        assert reader("POST", "/repositories", {"name": f"{ada.name}/app"}).status == 403
