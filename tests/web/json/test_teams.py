"""Teams over the JSON API."""

from __future__ import annotations

import pytest
from web.json.api import PREFIX, Api


@pytest.fixture
def team(ada: Api, org: str) -> str:
    """The path of a team of an organisation of ada's."""
    made = ada("POST", f"/orgs/{org}/teams", {"name": "crew"})

    assert (made.status, made["location"]) == (201, f"{PREFIX}/orgs/{org}/teams/crew")
    return f"/orgs/{org}/teams/crew"


def test_a_team_has_members_of_its_organisation(ada: Api, bob: Api, org: str, team: str) -> None:
    assert ada("PUT", f"{team}/members/{bob.name}").status == 409
    ada.ok("PUT", f"/orgs/{org}/members/{bob.name}", {})
    assert ada("PUT", f"{team}/members/{bob.name}").status == 204

    assert ada.items(f"{team}/members") == [{"name": bob.name, "owner": False}]
    assert ada.ok("GET", team)["members"] == 1
    assert ada("DELETE", f"{team}/members/{bob.name}").status == 204
    assert ada("DELETE", f"{team}/members/{bob.name}").status == 404


@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
def test_a_team_gives_a_right_until_it_is_taken(ada: Api, bob: Api, org: str, team: str, slash: str) -> None:
    ada.ok("POST", "/repositories", {"name": f"{org}/deep/app", "private": True})
    ada.ok("PUT", f"/orgs/{org}/members/{bob.name}", {})
    ada.ok("PUT", f"{team}/members/{bob.name}")
    grant = f"{team}/repositories/{org}{slash}deep{slash}app"
    assert bob("GET", f"/repositories/{org}/deep/app").status == 404
    assert ada("PUT", grant, {"right": "write"}).status == 204

    assert ada.items(f"{team}/repositories") == [{"repository": f"{org}/deep/app", "right": "write"}]
    assert bob.ok("GET", f"/repositories/{org}/deep/app")["right"] == "write"
    assert ada("PUT", grant, {"right": "none"}).status == 400
    assert ada("DELETE", grant).status == 204
    assert bob("GET", f"/repositories/{org}/deep/app").status == 404


def test_a_team_can_not_be_given_what_is_not_its_organisations(ada: Api, bob: Api, team: str) -> None:
    bob.ok("POST", "/repositories", {"name": f"{bob.name}/app"})
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app"})

    for name in (f"{bob.name}/app", f"{ada.name}/app", "absent/app"):
        assert ada("PUT", f"{team}/repositories/{name}", {"right": "admin"}).status in (400, 404)


def test_a_member_sees_teams_and_changes_none(ada: Api, bob: Api, org: str, team: str) -> None:
    ada.ok("PUT", f"/orgs/{org}/members/{bob.name}", {})

    assert [found["name"] for found in bob.items(f"/orgs/{org}/teams")] == ["crew"]
    assert bob("POST", f"/orgs/{org}/teams", {"name": "mine"}).status == 403
    assert bob("PUT", f"{team}/members/{bob.name}").status == 403
    assert bob("DELETE", team).status == 403


def test_a_team_is_removed(ada: Api, org: str, team: str) -> None:
    assert ada("POST", f"/orgs/{org}/teams", {"name": "crew"}).status == 409
    assert ada("DELETE", team).status == 204

    assert ada("GET", team).status == 404
    assert ada.items(f"/orgs/{org}/teams") == []
