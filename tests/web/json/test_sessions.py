"""A browser's session on the JSON API: its cookie counts only together with its CSRF token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from canary import OTHER_PASSWORD
from web.json.api import Api
from web.pages.browsing import signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Hub


@pytest.fixture
def browser(ada: Api, api_hub: Hub) -> Iterator[Api]:
    """Ada's browser, which is signed in."""
    opened = signed_in(api_hub, ada.name, ada.password)
    csrf = opened.get("/").form("/logout").fields["csrf"][0]
    with Api(api_hub) as api:
        api.credentials = {"Cookie": f"other=1; dockyard_session={opened.session}", "X-CSRF-Token": csrf}
        yield api


def test_a_cookie_with_its_token_says_who_asks(browser: Api, ada: Api) -> None:
    assert browser.ok("GET", "/account")["name"] == ada.name
    assert browser("POST", "/repositories", {"name": f"{ada.name}/app"}).status == 201


@pytest.mark.parametrize("method, path", [("GET", "/account"), ("POST", "/orgs"), ("DELETE", "/account/sessions/1")])
@pytest.mark.parametrize("csrf", [None, "", "x", "\u00e9"])
def test_a_cookie_without_its_token_counts_for_nothing(browser: Api, method: str, path: str, csrf: str | None) -> None:
    cookie = {"Cookie": browser.credentials["Cookie"]}
    browser.credentials = cookie if csrf is None else cookie | {"X-CSRF-Token": csrf}
    answer = browser(method, path, {"name": "forged"} if method == "POST" else None)

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer["www-authenticate"] is None, "a browser would ask its user for a password"


def test_the_token_of_another_session_does_not_do(browser: Api, ada: Api, api_hub: Hub) -> None:
    other = signed_in(api_hub, ada.name, ada.password).get("/").form("/logout").fields["csrf"][0]

    assert browser("GET", "/account", headers={"X-CSRF-Token": other}).status == 401


def test_credentials_in_the_header_go_before_a_cookie(browser: Api, bob: Api) -> None:
    answer = browser("GET", "/account", headers=bob.credentials)

    assert answer.json["name"] == bob.name


def test_sessions_are_seen_and_ended_by_whose_they_are(browser: Api, ada: Api, bob: Api, boss: Api) -> None:
    (session,) = browser.items("/account/sessions")
    assert session["current"]
    assert [entry["current"] for entry in ada.items("/account/sessions")] == [False]

    for other in (bob, boss):
        assert other("DELETE", f"/account/sessions/{session['id']}").status == 404
    assert browser("DELETE", f"/account/sessions/{session['id']}").status == 204
    assert browser("GET", "/account").status == 401


def test_a_new_password_ends_all_sessions_but_the_one_that_sets_it(browser: Api, ada: Api, api_hub: Hub) -> None:
    signed_in(api_hub, ada.name, ada.password)
    assert len(browser.items("/account/sessions")) == 2
    assert browser("PUT", "/account/password", {"current": ada.password, "new": OTHER_PASSWORD}).status == 204

    assert [session["current"] for session in browser.items("/account/sessions")] == [True]
