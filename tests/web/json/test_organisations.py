"""Organisations and their members over the JSON API."""

from __future__ import annotations

import pytest
from web.json.api import PREFIX, Api


def test_an_organisation_is_made_changed_and_removed(ada: Api) -> None:
    name = f"acme-{ada.name}"
    made = ada("POST", "/orgs", {"name": name, "full_name": "Acme, Inc."})
    changed = ada.ok("PATCH", f"/orgs/{name}", {"full_name": "Acme", "default_private": True})

    assert (made.status, made["location"]) == (201, f"{PREFIX}/orgs/{name}")
    assert made.json["role"] == "owner"
    assert changed == made.json | {"full_name": "Acme", "default_private": True}
    assert ada.items("/orgs") == [changed] == [ada.ok("GET", f"/orgs/{name}")]
    assert ada("POST", "/orgs", {"name": name}).status == 409
    assert ada("POST", "/orgs", {"name": ada.name}).status == 409
    assert ada("DELETE", f"/orgs/{name}").status == 204
    assert ada("GET", f"/orgs/{name}").status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a"}, {"name": "A"}, {"name": "x" * 31}, {"name": "a\x00b"}, {"name": "ab\n"},
     {"name": "library"}, {"name": None}, {"name": "ab/cd"}, {"name": "\u0430cme"}, {"name": "acme", "owner": "boss"},
     {"name": "acme", "kind": "user"}, {"name": "acme", "administrator": True}, {"name": "acme", "full_name": "\x00"}],
    ids=repr,
)  # fmt: skip
def test_an_organisation_that_can_not_be_is_refused(somebody: Api, body: dict[str, object]) -> None:
    assert somebody("POST", "/orgs", body).status == 400
    assert somebody.items("/orgs") == []


def test_members_come_and_go(ada: Api, bob: Api, org: str) -> None:
    assert ada("PUT", f"/orgs/{org}/members/{bob.name}", {}).status == 204
    assert ada.items(f"/orgs/{org}/members") == bob.items(f"/orgs/{org}/members")
    assert {"name": bob.name, "owner": False} in ada.items(f"/orgs/{org}/members")
    assert bob("PUT", f"/orgs/{org}/members/{bob.name}", {"owner": True}).status == 403
    assert bob("DELETE", f"/orgs/{org}/members/{ada.name}").status == 403
    assert ada("DELETE", f"/orgs/{org}/members/{ada.name}").status == 409, "the last owner stays"

    assert ada("PUT", f"/orgs/{org}/members/{bob.name}", {"owner": True}).status == 204
    assert ada("DELETE", f"/orgs/{org}/members/{ada.name}").status == 204
    assert bob.items(f"/orgs/{org}/members") == [{"name": bob.name, "owner": True}]
    assert ada("GET", f"/orgs/{org}").status == 404


def test_an_organisation_of_others_is_as_one_that_is_not_there(bob: Api, org: str) -> None:
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"full_name": "x"}),
        ("DELETE", "", None),
        ("GET", "/members", None),
        ("PUT", f"/members/{bob.name}", {"owner": True}),
        ("DELETE", f"/members/{bob.name}", None),
        ("GET", "/teams", None),
        ("POST", "/teams", {"name": "crew"}),
    ):
        hidden = bob(method, f"/orgs/{org}{rest}", body)
        absent = bob(method, f"/orgs/no-such-org{rest}", body)

        assert hidden.status == absent.status == 404, (method, rest)
        assert hidden.body.replace(org.encode(), b"no-such-org") == absent.body


def test_an_organisation_is_seen_as_an_account_by_all(nobody: Api, org: str, ada: Api) -> None:
    assert nobody.ok("GET", f"/accounts/{org}")["kind"] == "organisation"
    assert nobody("GET", f"/orgs/{org}").status == 401


def test_an_organisation_with_repositories_stays(ada: Api, org: str) -> None:
    ada.ok("POST", "/repositories", {"name": f"{org}/app"})

    assert ada("DELETE", f"/orgs/{org}").status == 409
