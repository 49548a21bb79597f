"""Robots over the JSON API."""

from __future__ import annotations

import pytest
from web.json.api import Api, basic, bearer


def test_a_robot_does_what_it_was_made_for(ada: Api, nobody: Api) -> None:
    for name in ("app", "other"):
        ada.ok("POST", "/repositories", {"name": f"{ada.name}/{name}", "private": True})
    grants = [{"repository": f"{ada.name}/app", "right": "write"}]
    made = ada("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": grants, "expires_in": 3600})
    robot = bearer(made.json["secret"])

    assert made.status == 201
    assert made.json["robot"]["name"] == f"{ada.name}+ci"
    assert made.json["robot"]["grants"] == grants
    assert nobody("GET", f"/repositories/{ada.name}/app", headers=robot).json["right"] == "write"
    assert nobody("GET", f"/repositories/{ada.name}/other", headers=robot).status == 404
    assert (
        nobody("GET", f"/repositories/{ada.name}/app", headers=basic(f"{ada.name}+ci", made.json["secret"])).status
        == 200
    )
    listed = ada("GET", f"/robots?namespace={ada.name}")
    assert [item["name"] for item in listed.json["items"]] == [f"{ada.name}+ci"]
    assert made.json["secret"].encode() not in listed.body


@pytest.mark.parametrize("plus", ["+", "%2B"])
def test_a_removed_robot_is_refused(ada: Api, nobody: Api, plus: str) -> None:
    made = ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": []})
    assert ada("DELETE", f"/robots/{ada.name}{plus}ci").status == 204

    assert nobody("GET", "/repositories", headers=bearer(made["secret"])).status == 401
    assert ada("DELETE", f"/robots/{ada.name}{plus}ci").status == 404


def test_robots_of_others_are_as_those_that_are_not_there(ada: Api, bob: Api) -> None:
    ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": []})
    request = {"name": "mine", "grants": []}

    assert bob("GET", f"/robots?namespace={ada.name}").status == bob("GET", "/robots?namespace=absent").status == 404
    assert bob("DELETE", f"/robots/{ada.name}+ci").status == bob("DELETE", "/robots/absent+ci").status == 404
    assert bob("POST", "/robots", {"namespace": ada.name} | request).status == 404
    assert bob("POST", "/robots", {"namespace": "absent"} | request).status == 404


@pytest.mark.parametrize(
    "change",
    [{"name": "A"}, {"name": "x"}, {"name": "a+b"}, {"grants": None}, {"grants": [{"repository": "a/b"}]},
     {"grants": [{"repository": "A", "right": "read"}]}, {"grants": [{"repository": "a/b", "right": "all"}]},
     {"grants": [{"repository": "a/b", "right": "read"}]}, {"expires_in": 1}, {"scopes": ["admin"]},
     {"grants": [{"repository": "a/b", "right": "read", "more": 1}]}, {"administrator": True}, {"namespace": "\x00"}],
    ids=repr,
)  # fmt: skip
def test_a_robot_that_can_not_be_is_refused(somebody: Api, change: dict[str, object]) -> None:
    name = somebody.name

    assert somebody("POST", "/robots", {"namespace": name, "name": "ci", "grants": []} | change).status == 400
    assert somebody.items(f"/robots?namespace={name}") == []


def test_a_robot_is_not_made_for_a_repository_of_others(ada: Api, bob: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app"})
    grants = [{"repository": f"{ada.name}/app", "right": "admin"}]

    assert bob("POST", "/robots", {"namespace": bob.name, "name": "ci", "grants": grants}).status == 400
