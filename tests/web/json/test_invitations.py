"""Invitations over the JSON API."""

from __future__ import annotations

from web.json.api import Api


def test_an_invitation_is_made_listed_without_its_code_and_withdrawn(boss: Api) -> None:
    made = boss("POST", "/invitations", {"note": "for Grace"})
    listed = boss("GET", "/invitations")
    known = made.json["invitation"]

    assert made.status == 201
    assert made.json["code"] in made.json["url"]
    assert made.json["url"].startswith(boss.hub.url)
    assert known in listed.json["items"]
    assert made.json["code"].encode() not in listed.body
    assert boss("DELETE", f"/invitations/{known['id']}").status == 204
    assert boss("DELETE", f"/invitations/{known['id']}").status == 404
    assert known not in boss.items("/invitations")


def test_others_do_not_invite_while_sign_up_is_closed(ada: Api, org: str) -> None:
    assert ada("POST", "/invitations", {}).status == 403
    assert ada("POST", "/invitations", {"organisation": org}).status == 403


def test_an_invitation_of_others_is_not_found(ada: Api, boss: Api) -> None:
    made = boss.ok("POST", "/invitations", {"note": "mine"})

    assert ada("DELETE", f"/invitations/{made['invitation']['id']}").status == 404
    assert made["invitation"] not in ada.items("/invitations")


def test_an_invitation_that_can_not_be_is_refused(boss: Api) -> None:
    for body in (
        {"note": "\x00"},
        {"note": "x" * 201},
        {"organisation": "\x00"},
        {"administrator": True},
        {"code": "x"},
    ):
        assert boss("POST", "/invitations", body).status == 400
    assert boss("POST", "/invitations", {"organisation": "absent"}).status == 404
