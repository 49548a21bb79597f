"""Signing in and out, and the cookies of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyotp
import pytest
from canary import OTHER_PASSWORD, WRONG_PASSWORD
from web.pages.browsing import Browser, Page, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

    Somebody = Callable[[], tuple[Browser, str, str]]


def cookie(page: Page, name: str) -> str:
    """The line that sets a cookie."""
    return next(line for line in page.headers.get_all("set-cookie") or [] if line.startswith(f"{name}="))


def test_who_signs_in_is_known_until_they_sign_out(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, _ = somebody()
    before = browser.get("/")
    out = browser.submit(before.form("/logout"))
    after = browser.follow(out)

    assert name in before.words
    assert "Sign in" in after.words and name not in after.words
    assert not browser.session
    assert browser.get("/account").location.startswith("/login")


def test_a_session_that_was_ended_is_over_for_who_kept_its_cookie(somebody: Somebody) -> None:
    browser, _, _ = somebody()
    kept = dict(browser.cookies)
    browser.submit(browser.get("/").form("/logout"))
    browser.cookies = kept

    assert browser.get("/account").status == 303


@pytest.mark.parametrize(
    ("name", "password"), [("boss", WRONG_PASSWORD), ("nobody-here", WRONG_PASSWORD), ("", "wrong")]
)
def test_wrong_names_and_wrong_passwords_get_the_same_answer(visitor: Browser, name: str, password: str) -> None:
    page = visitor.sign_in(name, password)

    assert page.status == 403
    assert "Incorrect user name or password." in page.words
    assert page.headers["www-authenticate"] is None
    assert password not in page.text
    assert not visitor.session


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/account/tokens", "/account/tokens"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_on_within_this_hub_only(pages_hub: Hub, visitor: Browser, asked: str, given: str) -> None:
    form = visitor.get("/login").form("/login")
    page = visitor.submit(form, name=pages_hub.admin, password=pages_hub.password, next=asked)

    assert (page.status, page.location) == (303, given)


def test_a_page_that_needs_somebody_comes_after_signing_in(pages_hub: Hub, visitor: Browser) -> None:
    form = visitor.follow(visitor.get("/account/sessions")).form("/login")
    page = visitor.submit(form, name=pages_hub.admin, password=pages_hub.password)

    assert page.location == "/account/sessions"


def test_who_is_signed_in_needs_no_form_for_that(boss: Browser) -> None:
    assert boss.get("/login?next=/account").location == "/account"
    assert boss.get("/login?next=//evil.example").location == "/"


def test_a_cookie_that_was_planted_is_not_the_session(pages_hub: Hub, visitor: Browser) -> None:
    visitor.cookies["dockyard_session"] = "A" * 43
    visitor.sign_in(pages_hub.admin, pages_hub.password)

    assert len(visitor.session) == 43
    assert visitor.session != "A" * 43


def test_a_form_that_was_open_before_somebody_signed_in_is_out_of_date(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    other = Browser(pages_hub)
    form = other.get("/login").form("/login")
    other.cookies |= browser.cookies
    refused = other.submit(form, name=name, password=password)

    assert refused.status == 403
    assert browser.get("/account").status == 200


def test_cookies_are_kept_from_scripts_and_other_sites(pages_hub: Hub, visitor: Browser) -> None:
    form = visitor.get("/login")
    page = visitor.sign_in(pages_hub.admin, pages_hub.password)

    for line in (cookie(form, "dockyard_form"), cookie(page, "dockyard_session")):
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"httponly", "path=/"} <= parts
        assert "secure" not in parts
    assert "samesite=strict" in cookie(form, "dockyard_form").lower()
    assert "samesite=lax" in cookie(page, "dockyard_session").lower()


def test_under_https_cookies_are_bound_to_the_host(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub("--url", "https://hub.example", auth="accounts", workers=1)
    browser = Browser(hub, prefix="__Host-")
    form = browser.get("/login")
    page = browser.sign_in(hub.admin, hub.password)

    for line in (cookie(form, "__Host-dockyard_form"), cookie(page, "__Host-dockyard_session")):
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
    assert browser.get("/account").status == 200
    assert "max-age=" in browser.get("/").headers["strict-transport-security"]
    assert browser.get("/").headers["cross-origin-opener-policy"] == "same-origin"
    assert "hub.example" in browser.get("/").words
    browser.cookies = {"dockyard_session": browser.session}
    assert browser.get("/account").status == 303


def test_too_many_failures_are_a_page_that_says_when_to_come_back(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts", workers=2)
    browser = Browser(hub)
    pages = [browser.sign_in("ada", f"wrong {number}") for number in range(11)]

    assert [page.status for page in pages] == [403] * 10 + [429]
    assert 0 < int(pages[-1].headers["retry-after"]) <= 900
    assert browser.sign_in(hub.admin, hub.password).status == 303


def turn_on(browser: Browser, password: str) -> tuple[pyotp.TOTP, list[str]]:
    """Turn two-factor sign-in on; return what makes codes, and the recovery codes."""
    begun = browser.submit(browser.get("/account/two-factor").form("/account/two-factor"), password=password)
    assert begun.status == 200, begun.text
    assert 'src="data:image/svg+xml' in begun.text
    totp = pyotp.TOTP(begun.code("The secret"))
    done = browser.submit(begun.form("/account/two-factor"), code=totp.now())
    assert "Two-factor sign-in is on." in done.words
    return totp, [text for text in done.reader.texts if text.count("-") == 3 and len(text) == 19]


def code_after(totp: pyotp.TOTP) -> str:
    """A code that was not used: the next step's, which is taken already."""
    return totp.at(time.time() + 30)


def test_with_two_factors_signing_in_takes_a_code(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    totp, codes = turn_on(browser, password)
    other = Browser(pages_hub)
    first = other.submit(other.get("/login?next=/account").form("/login"), name=name, password=password)
    pending = cookie(first, "dockyard_pending")
    asked = other.follow(first)
    wrong = other.submit(asked.form("/login/code"), code="000000")
    right = other.submit(wrong.form("/login/code"), code=code_after(totp))

    assert len(codes) == 10
    assert first.location == "/login/code?next=%2Faccount"
    assert "httponly" in pending.lower() and "samesite=strict" in pending.lower() and "Max-Age=300" in pending
    assert password not in pending + first.text + asked.text + wrong.text
    assert (wrong.status, right.status, right.location) == (403, 303, "/account")
    assert other.get("/account").status == 200
    assert "dockyard_pending" not in other.cookies


def test_a_recovery_code_signs_in_once(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    _, codes = turn_on(browser, password)
    answers = []
    for _ in range(2):
        other = Browser(pages_hub)
        asked = other.follow(other.sign_in(name, password))
        answers.append(other.submit(asked.form("/login/code"), code=codes[0]).status)

    assert answers == [303, 403]


def test_a_code_without_the_password_before_it_is_worth_nothing(pages_hub: Hub, somebody: Somebody) -> None:
    browser, _, password = somebody()
    totp, _ = turn_on(browser, password)
    other = Browser(pages_hub)
    other.get("/login")
    csrf = other.cookies["dockyard_form"]
    forged = []
    for pending in ("", "1", f"1.{int(time.time() * 1000) + 60_000}.{'0' * 64}", "é" * 10, browser.session):
        other.cookies["dockyard_pending"] = pending
        forged.append(other.post("/login/code", {"csrf": csrf, "next": "/", "code": code_after(totp)}).status)

    assert forged == [403] * 5
    assert Browser(pages_hub).get("/login/code").location == "/login?next=%2F"


def test_a_password_that_changes_ends_a_sign_in_that_waits(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    totp, _ = turn_on(browser, password)
    other = Browser(pages_hub)
    asked = other.follow(other.sign_in(name, password))
    form = browser.get("/account").form("/account", do="password")
    browser.submit(form, current=password, password=OTHER_PASSWORD, again=OTHER_PASSWORD)
    page = other.submit(asked.form("/login/code"), code=code_after(totp))

    assert page.status == 403


def test_two_factors_are_turned_off_with_both(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    totp, _ = turn_on(browser, password)
    form = browser.get("/account/two-factor").form("/account/two-factor", do="off")
    refused = [
        browser.submit(form, password="wrong", code=code_after(totp)).status,
        browser.submit(form, password=password, code="123456").status,
    ]
    done = browser.follow(browser.submit(form, password=password, code=code_after(totp)))

    assert refused == [403, 403]
    assert "Two-factor sign-in is off." in done.words
    assert signed_in(pages_hub, name, password).session


def test_a_wrong_first_code_turns_nothing_on(pages_hub: Hub, somebody: Somebody) -> None:
    browser, name, password = somebody()
    begun = browser.submit(browser.get("/account/two-factor").form("/account/two-factor"), password=password)
    wrong = browser.submit(begun.form("/account/two-factor"), code="000000")
    denied = browser.submit(browser.get("/account/two-factor").form("/account/two-factor"), password="wrong")

    assert (wrong.status, denied.status) == (400, 403)
    assert "is off" in browser.get("/account/two-factor").words
    assert signed_in(pages_hub, name, password).session
