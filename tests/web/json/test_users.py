"""Users over the JSON API: for administrators alone."""

from __future__ import annotations

import pytest
from canary import OTHER_PASSWORD, PASSWORD
from web.json.api import PREFIX, Api, basic


def test_an_administrator_makes_blocks_and_removes_a_user(boss: Api, nobody: Api) -> None:
    made = boss("POST", "/users", {"name": "grace", "password": PASSWORD, "full_name": "Grace"})
    grace = basic("grace", PASSWORD)

    assert (made.status, made["location"]) == (201, f"{PREFIX}/accounts/grace")
    assert (made.json["administrator"], made.json["blocked"]) == (False, None)
    assert boss("POST", "/users", {"name": "grace"}).status == 409
    assert nobody("GET", "/account", headers=grace).status == 200
    assert boss.ok("PATCH", "/users/grace", {"blocked": True})["blocked"]
    assert nobody("GET", "/account", headers=grace).status == 401
    assert boss.ok("PATCH", "/users/grace", {"blocked": False, "administrator": True})["administrator"]
    assert nobody("GET", "/users", headers=grace).status == 200
    assert boss("DELETE", "/users/grace").status == 204
    assert nobody("GET", "/account", headers=grace).status == 401
    assert nobody("GET", "/accounts/grace").status == boss("DELETE", "/users/grace").status == 404


def test_an_administrator_sets_a_password(boss: Api, ada: Api, nobody: Api) -> None:
    assert boss("PUT", f"/users/{ada.name}/password", {"password": OTHER_PASSWORD}).status == 204

    assert nobody("GET", "/account", headers=basic(ada.name, ada.password)).status == 401
    assert nobody("GET", "/account", headers=basic(ada.name, OTHER_PASSWORD)).status == 200


def test_users_come_in_pages_by_name(boss: Api, ada: Api, bob: Api) -> None:
    names, page = [], boss.ok("GET", "/users?n=2")
    while page["next"]:
        names += [user["name"] for user in page["items"]]
        page = boss.ok("GET", f"/users?n=2&after={page['next']}")
    names += [user["name"] for user in page["items"]]

    assert names == sorted(set(names))
    assert {boss.name, ada.name, bob.name} <= set(names)


def test_others_see_and_change_no_users(ada: Api, bob: Api) -> None:
    for method, path, body in (
        ("GET", "/users", None),
        ("POST", "/users", {"name": "mallory", "password": PASSWORD, "administrator": True}),
        ("PATCH", f"/users/{ada.name}", {"administrator": True}),
        ("PATCH", f"/users/{bob.name}", {"blocked": True}),
        ("PUT", f"/users/{bob.name}/password", {"password": PASSWORD}),
        ("DELETE", f"/users/{bob.name}", None),
        ("DELETE", "/users/absent", None),
    ):
        answer = ada(method, path, body)
        assert (answer.status, answer.code) == (403, "DENIED")
    assert ada.ok("GET", "/account")["administrator"] is False


def test_the_last_administrator_stays(boss: Api) -> None:
    administrators = [user["name"] for user in boss.ok("GET", "/users?n=100")["items"] if user["administrator"]]
    assert administrators == [boss.name]

    assert boss("PATCH", f"/users/{boss.name}", {"administrator": False}).status == 409
    assert boss("PATCH", f"/users/{boss.name}", {"blocked": True}).status == 409
    assert boss("DELETE", f"/users/{boss.name}").status == 409


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "A"}, {"name": "x"}, {"name": "library"}, {"name": "ok", "password": "short"}, {"name": "a\x00b"},
     {"name": "okay", "password": "x" * 1025}, {"name": "okay", "administrator": 1}, {"name": "okay", "kind": "robot"},
     {"name": "okay", "password_hash": "x"}, {"name": "okay", "email": "x"}, {"name": "okay", "totp_secret": "x"}],
    ids=repr,
)  # fmt: skip
def test_a_user_that_can_not_be_is_refused(boss: Api, body: dict[str, object]) -> None:
    assert boss("POST", "/users", body).status == 400
