"""The pages of an account: what they show, what they change, and that they show and change nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from canary import OTHER_PASSWORD
from web.pages.browsing import Browser, basic, signed_in
from web.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

    Somebody = Callable[[], tuple[Browser, str, str]]

HOSTILE = "<script>alert('x')</script>\"'&"


def make_token(browser: Browser, name: str = "laptop", **fields: str | list[str]) -> tuple[int, str]:
    """Make a token; return its id and secret."""
    page = browser.submit(browser.get("/account/tokens").form("/account/tokens", do="create"), name=name, **fields)
    assert page.status == 200, page.text
    listed = browser.get("/account/tokens").form("/account/tokens", do="revoke")
    return int(listed.fields["id"][0]), page.code("The token")


def test_a_profile_is_kept_and_shown(somebody: Somebody) -> None:
    browser, _, _ = somebody()
    form = browser.get("/account").form("/account", do="profile")
    saved = browser.follow(
        browser.submit(form, full_name="Ada Lovelace", email="ada@example.com", visibility="private")
    )
    kept = browser.get("/account").form("/account", do="profile").fields

    assert "Saved." in saved.words
    assert (kept["full_name"], kept["email"], kept["visibility"]) == (
        ["Ada Lovelace"],
        ["ada@example.com"],
        ["private"],
    )


@pytest.mark.parametrize("field", ["full_name", "note", "name", "agent"])
def test_what_people_write_is_shown_as_they_wrote_it(somebody: Somebody, boss: Browser, field: str) -> None:
    browser, _, _ = somebody()
    if field == "full_name":
        browser.submit(browser.get("/account").form("/account", do="profile"), full_name=HOSTILE)
        page = browser.get("/account")
        shown = page.form("/account", do="profile").fields["full_name"][0]
    elif field == "note":
        boss.submit(boss.get("/account/invitations").form("/account/invitations", do="invite"), note=HOSTILE)
        page = boss.get("/account/invitations")
        shown = page.words
    elif field == "name":
        make_token(browser, HOSTILE)
        page = browser.get("/account/tokens")
        shown = page.words
    else:
        browser.submit(browser.get("/").form("/logout"))
        name, password = browser.hub.admin, browser.hub.password
        browser.post("/login", browser.get("/login").form("/login").fields | {"name": name, "password": password},
                     user_agent=HOSTILE)  # fmt: skip
        page = browser.get("/account/sessions")
        shown = page.words

    assert HOSTILE in shown
    assert "<script" not in page.text


def test_a_wrong_e_mail_address_keeps_what_was_typed(somebody: Somebody) -> None:
    browser, _, _ = somebody()
    page = browser.submit(browser.get("/account").form("/account", do="profile"), full_name="Ada", email="no address")

    assert page.status == 400
    assert 'role="alert"' in page.text
    assert page.form("/account", do="profile").fields["full_name"] == ["Ada"]
    assert browser.get("/account").form("/account", do="profile").fields["full_name"] == [""]


def test_a_password_is_changed_and_ends_other_sessions(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    other = signed_in(pages_hub, name, password)
    form = browser.get("/account").form("/account", do="password")
    done = browser.follow(browser.submit(form, current=password, password=OTHER_PASSWORD, again=OTHER_PASSWORD))

    assert "Your password is changed." in done.words
    assert other.get("/account").status == 303
    assert Browser(pages_hub).sign_in(name, password).status == 403
    assert signed_in(pages_hub, name, OTHER_PASSWORD).session


@pytest.mark.parametrize(
    ("current", "new", "again", "status", "words"),
    [
        ("wrong", OTHER_PASSWORD, OTHER_PASSWORD, 403, "ncorrect"),
        ("", OTHER_PASSWORD, "another 1", 400, "The two passwords are not the same."),
        ("", "short", "short", 400, "too short"),
        ("", "", "", 400, "too short"),
    ],
)
def test_a_password_that_can_not_be_is_told_beside_its_field(
    pages_hub: Hub, somebody: Somebody, current: str, new: str, again: str, status: int, words: str
) -> None:
    browser, name, password = somebody()
    form = browser.get("/account").form("/account", do="password")
    page = browser.submit(form, current=current or password, password=new, again=again)

    assert page.status == status
    assert words in page.words
    assert 'aria-invalid="true"' in page.text
    assert signed_in(pages_hub, name, password).session


def test_a_token_is_shown_once_and_works(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, _ = somebody()
    _, secret = make_token(browser, scope=["read"], expires="30")
    listed = browser.get("/account/tokens")
    with Wire(pages_hub) as wire:
        answer = wire("GET", "/api/v1/account/tokens", headers={"Authorization": f"Bearer {secret}"})

    assert secret.startswith("dyp_")
    assert secret not in listed.text
    assert answer.status == 200
    assert "laptop" in listed.words and "read" in listed.words
    assert f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}" in listed.words
    assert name in listed.words


def test_a_token_may_last_for_ever_or_to_a_day(somebody: Somebody) -> None:
    browser, _, _ = somebody()
    make_token(browser, "for ever", expires="never")
    day = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
    make_token(browser, "to a day", expires="date", date=day)

    assert f"{day} 23:59" in browser.get("/account/tokens").words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scope": []}, "scope"),
        ({"scope": ["everything"]}, "scope"),
        ({"expires": "date", "date": "2020-01-01"}, "day"),
        ({"expires": "7"}, "end"),
    ],
)
def test_a_token_that_can_not_be_is_not_made(
    somebody: Somebody, fields: dict[str, str | list[str]], words: str
) -> None:
    browser, _, _ = somebody()
    form = browser.get("/account/tokens").form("/account/tokens", do="create")
    page = browser.submit(form, **({"name": "laptop"} | fields))

    assert page.status == 400
    assert words in page.words
    assert "You have none." in browser.get("/account/tokens").words


def test_a_revoked_token_is_gone(pages_hub: Hub, somebody: Somebody) -> None:
    browser, _, _ = somebody()
    _, secret = make_token(browser)
    done = browser.follow(browser.submit(browser.get("/account/tokens").form("/account/tokens", do="revoke")))
    with Wire(pages_hub) as wire:
        answer = wire("GET", "/api/v1/account", headers={"Authorization": f"Bearer {secret}"})

    assert "Revoked." in done.words and "You have none." in done.words
    assert answer.status == 401


def test_a_client_that_keeps_a_login_is_listed_apart(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    body = f"grant_type=password&service={pages_hub.host}&client_id=docker&access_type=offline"
    with Wire(pages_hub) as wire:
        answer = wire("POST", "/token", f"{body}&username={name}&password={password.replace(' ', '+')}".encode(),
                      content_type="application/x-www-form-urlencoded")  # fmt: skip
    page = browser.get("/account/tokens")

    assert answer.status == 200, answer.body
    assert page.words.index("Logins of clients") < page.words.index("docker", page.words.index("Logins of clients"))
    assert "You have none." in page.words
    assert answer.json["refresh_token"] not in page.text


def test_others_tokens_sessions_and_invitations_can_not_be_ended(
    pages_hub: Hub, somebody: Somebody, boss: Browser
) -> None:
    browser, name, password = somebody()
    token, _ = make_token(browser)
    second = signed_in(pages_hub, name, password)
    session = browser.get("/account/sessions").form("/account/sessions", do="end").fields["id"][0]
    boss.submit(boss.get("/account/invitations").form("/account/invitations", do="invite"), note="theirs")
    invitation = boss.get("/account/invitations").form("/account/invitations", do="withdraw").fields["id"][0]
    eve, _, _ = somebody()
    csrf = eve.get("/").form("/logout").fields["csrf"][0]
    refused = [
        eve.post("/account/tokens", {"csrf": csrf, "do": "revoke", "id": str(token)}).status,
        eve.post("/account/sessions", {"csrf": csrf, "do": "end", "id": session}).status,
        eve.post("/account/invitations", {"csrf": csrf, "do": "withdraw", "id": invitation}).status,
    ]

    assert all(status in (403, 404) for status in refused), refused
    assert browser.get("/account/tokens").form("/account/tokens", do="revoke")
    assert second.get("/account").status == 200
    assert "theirs" in boss.get("/account/invitations").words


def test_a_session_is_ended_from_another_browser(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    others = [signed_in(pages_hub, name, password) for _ in range(3)]
    listed = browser.get("/account/sessions")
    browser.follow(browser.submit(listed.form("/account/sessions", do="end")))
    one_ended = sum(other.get("/account").status == 303 for other in others)
    browser.follow(browser.submit(browser.get("/account/sessions").form("/account/sessions", do="end-others")))

    assert listed.words.count("127.0.0.1") >= 4 and listed.words.count("This one") == 1
    assert one_ended == 1
    assert [other.get("/account").status for other in others] == [303] * 3
    assert browser.get("/account").status == 200


def test_no_page_has_another_account_s_data(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    secrets = [f"{name}-canary-{number}" for number in range(3)]
    browser.submit(
        browser.get("/account").form("/account", do="profile"), full_name=secrets[0], email=f"{secrets[1]}@example.com"
    )
    make_token(browser, secrets[2])
    eve, _, _ = somebody()
    pages = [eve.get(f"/account{path}") for path in ("", "/tokens", "/two-factor", "/sessions")] + [eve.get("/")]

    for page in pages:
        assert page.status == 200
        assert not [text for text in (*secrets, name, password) if text in page.text]


def test_only_those_who_may_invite_see_that_page(pages_hub: Hub, somebody: Somebody, boss: Browser) -> None:
    browser, name, password = somebody()
    before = browser.get("/account/invitations")
    with Wire(pages_hub) as wire:
        made = wire("POST", "/api/v1/orgs", f'{{"name":"{name}-org"}}'.encode(), basic(name, password),
                    content_type="application/json")  # fmt: skip
    form = browser.get("/account/invitations").form("/account/invitations", do="invite")

    assert made.status == 201, made.body
    assert before.status == 403 and "Invitations" not in browser_tabs(before.words)
    assert form.fields["organisation"] == [""] or form.fields["organisation"] == [f"{name}-org"]
    assert boss.get("/account/invitations").status == 200


def browser_tabs(words: str) -> str:
    """The words of the tabs."""
    return words.partition("Sessions")[2][:20]
