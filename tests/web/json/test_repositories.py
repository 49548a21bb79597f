"""Repositories and their collaborators over the JSON API."""

from __future__ import annotations

import pytest
from web.json.api import PREFIX, Api


def test_a_repository_is_made_changed_and_removed(ada: Api, nobody: Api) -> None:
    name = f"{ada.name}/tools/web"
    made = ada("POST", "/repositories", {"name": name, "private": True, "description": "Ünïcode ☂ 中文"})
    path = f"/repositories/{name}"

    assert (made.status, made["location"]) == (201, f"{PREFIX}/repositories/{ada.name}%2Ftools%2Fweb")
    assert (made.json["private"], made.json["description"], made.json["right"]) == (True, "Ünïcode ☂ 中文", "admin")
    assert ada.ok("GET", path) == made.json == ada.ok("GET", path.replace(name, name.replace("/", "%2F")))
    assert nobody("GET", path).status == 401
    assert ada.ok("PATCH", path, {"private": False}) == made.json | {"private": False}
    assert nobody.ok("GET", path)["right"] == "read"
    assert ada("POST", "/repositories", {"name": name}).status == 409
    assert ada("DELETE", path).status == 204
    assert ada("GET", path).status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a/../b"}, {"name": "/a/b"}, {"name": "a//b"}, {"name": "A/b"}, {"name": "a/b\x00"},
     {"name": "a/b\n"}, {"name": "a" * 256}, {"name": ["a/b"]}, {"name": "a/b:tag"}, {"name": "a/b", "private": "no"},
     {"name": "a/b", "description": "x" * 1001}, {"name": "a/b", "description": "\x00"}, {"name": "a/b", "owner": 1}],
    ids=repr,
)  # fmt: skip
def test_a_repository_that_can_not_be_is_refused(boss: Api, body: dict[str, object]) -> None:
    assert boss("POST", "/repositories", body).status == 400


@pytest.mark.parametrize(
    "change",
    [{"name": "x/y"}, {"private": None}, {"private": 0}, {"description": "a\x00b"}, {"description": None},
     {"namespace": "boss"}, {"right": "admin"}, {"official": True}, {"created": "1970-01-01T00:00:00Z"}],
    ids=repr,
)  # fmt: skip
def test_what_can_not_be_set_is_refused_and_changes_nothing(ada: Api, change: dict[str, object]) -> None:
    made = ada.ok("POST", "/repositories", {"name": f"{ada.name}/app", "private": True})

    assert ada("PATCH", f"/repositories/{ada.name}/app", {"description": "new"} | change).status == 400
    assert ada.ok("GET", f"/repositories/{ada.name}/app") == made


def test_nobody_makes_repositories_in_a_namespace_of_others(ada: Api, bob: Api) -> None:
    for name in (f"{ada.name}/app", "nobodys-namespace/app", "official"):
        answer = bob("POST", "/repositories", {"name": name})
        assert (answer.status, answer.code) == (403, "DENIED")


def test_a_private_repository_of_others_is_as_one_that_is_not_there(ada: Api, bob: Api, nobody: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/secret", "private": True})
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"private": False}),
        ("DELETE", "", None),
        ("GET", "/-/collaborators", None),
        ("PUT", f"/-/collaborators/{bob.name}", {"right": "admin"}),
        ("DELETE", f"/-/collaborators/{bob.name}", None),
    ):
        for asker in (bob, nobody):
            hidden = asker(method, f"/repositories/{ada.name}/secret{rest}", body)
            absent = asker(method, f"/repositories/{ada.name}/absent{rest}", body)

            assert hidden.status == absent.status == (401 if asker is nobody else 404), (method, rest)
            assert hidden.body.replace(b"secret", b"absent") == absent.body


def test_lists_come_in_pages_and_show_what_one_may_see(ada: Api, bob: Api, nobody: Api) -> None:
    names = [f"{ada.name}/app{n}" for n in range(5)]
    for number, name in enumerate(names):
        ada.ok("POST", "/repositories", {"name": name, "private": number % 2 == 0})
    list_of = f"/repositories?namespace={ada.name}"
    first = ada.ok("GET", f"{list_of}&n=2")
    second = ada.ok("GET", f"{list_of}&n=2&after={first['next']}")
    third = ada.ok("GET", f"{list_of}&n=2&after={second['next']}")

    assert [item["name"] for page in (first, second, third) for item in page["items"]] == names
    assert third["next"] is None
    assert [item["name"] for item in bob.items(list_of)] == [names[1], names[3]]
    assert [item["name"] for item in nobody.items(list_of)] == [names[1], names[3]]
    assert [item["name"] for item in ada.items(f"{list_of}&q=app3")] == [names[3]]


def test_collaborators_have_what_they_are_given(ada: Api, bob: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app", "private": True})
    path = f"/repositories/{ada.name}/app"
    assert ada("PUT", f"{path}/-/collaborators/{bob.name}", {"right": "read"}).status == 204
    assert ada.items(f"{path}/-/collaborators") == [{"name": bob.name, "kind": "user", "right": "read"}]

    assert bob.ok("GET", path)["right"] == "read"
    assert bob("PUT", f"{path}/-/collaborators/{bob.name}", {"right": "admin"}).status == 403
    assert bob("GET", f"{path}/-/collaborators").status == 403
    assert ada("PUT", f"{path}/-/collaborators/nobody-known", {"right": "read"}).status == 404
    assert ada("PUT", f"{path}/-/collaborators/{bob.name}", {"right": "owner"}).status == 400
    assert ada("DELETE", f"{path}/-/collaborators/{bob.name}").status == 204
    assert bob("GET", path).status == 404


def test_a_repository_called_like_a_part_of_a_path_is_one(ada: Api) -> None:
    for rest in ("collaborators", "tags/list", "a-b/collaborators"):
        name = f"{ada.name}/{rest}"
        ada.ok("POST", "/repositories", {"name": name})

        assert ada.ok("GET", f"/repositories/{name}")["name"] == name
        assert ada.items(f"/repositories/{name}/-/collaborators") == []
