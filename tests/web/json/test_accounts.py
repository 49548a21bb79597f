"""What everybody sees of accounts over the JSON API."""

from __future__ import annotations

from web.json.api import Api


def test_everybody_sees_who_somebody_is_and_no_more(ada: Api, bob: Api, nobody: Api) -> None:
    ada.ok("PATCH", "/account", {"full_name": "Ada", "email": "ada@example.org"})
    seen = nobody.ok("GET", f"/accounts/{ada.name}")

    assert seen.keys() == {"name", "kind", "full_name", "created"}
    assert (seen["name"], seen["kind"], seen["full_name"]) == (ada.name, "user", "Ada")
    assert bob.ok("GET", f"/accounts/{ada.name}") == seen


def test_an_account_that_is_not_there_is_not_found(nobody: Api) -> None:
    answer = nobody("GET", "/accounts/absent")

    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
