"""How people come to an account: the first administrator, invitations, and sign-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from canary import PASSWORD
from web.pages.browsing import Browser, Page, basic
from web.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

    Somebody = Callable[[], tuple[Browser, str, str]]


def fill(
    browser: Browser, page: Page, action: str, name: str, password: str = PASSWORD, again: str | None = None
) -> Page:
    again = password if again is None else again
    return browser.submit(page.form(action), name=name, password=password, again=again)


def invite(browser: Browser, **fields: str) -> str:
    """Make an invitation; return the path of its link."""
    form = browser.get("/account/invitations").form("/account/invitations", do="invite")
    made = browser.submit(form, **fields)
    assert made.status == 200, made.text
    return made.code("The link").removeprefix(browser.hub.url)


def test_the_printed_link_makes_the_first_administrator(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts", env={"DOCKYARD_ADMIN": ""}, workers=2)
    link = next(word for word in hub.line().split() if "/setup?code=" in word)
    path, browser = link.removeprefix(hub.url), Browser(hub)
    front, form = browser.get("/"), browser.get(path)
    short = fill(browser, form, "/setup", "ada", "short")
    differ = fill(browser, short, "/setup", "ada", PASSWORD, "another")
    named = fill(browser, differ, "/setup", "No Name")
    wrong = browser.submit(
        browser.get("/setup?code=wrong").form("/setup"), name="ada", password=PASSWORD, again=PASSWORD
    )
    done = fill(browser, named, "/setup", "ada")

    assert path.startswith("/setup?code=")
    assert "Nobody has an account here yet." in front.words
    assert form.headers["referrer-policy"] == "no-referrer"
    assert [page.status for page in (short, differ, named)] == [400, 400, 400]
    assert "too short" in short.words and "not the same" in differ.words
    assert wrong.status == 404 and 'id="code"' in wrong.text
    assert (done.status, done.location) == (303, "/")
    assert "Administrator" in browser.get("/account").words
    assert [Browser(hub).get(path).status, Browser(hub).get("/setup").status] == [404, 404]


def test_an_invitation_makes_one_account(pages_hub: Hub, boss: Browser, visitor: Browser) -> None:
    link = invite(boss, note="for grace")
    form = visitor.get(link)
    done = fill(visitor, form, "/signup", "grace-by-invitation")
    again = Browser(pages_hub).get(link)

    assert form.status == 200 and "boss invites you" in form.words
    assert form.headers["referrer-policy"] == "no-referrer"
    assert done.location == "/"
    assert "grace-by-invitation" in visitor.get("/").words
    assert again.status == 404
    assert "for grace" not in boss.get("/account/invitations").words


def test_an_invitation_that_is_withdrawn_is_over(visitor: Browser, boss: Browser) -> None:
    link = invite(boss, note="for nobody")
    form = visitor.get(link)
    boss.follow(boss.submit(boss.get("/account/invitations").form("/account/invitations", do="withdraw")))

    assert form.status == 200
    assert visitor.get(link).status == 404
    assert fill(visitor, form, "/signup", "late").status == 404


def test_who_has_an_account_joins_with_it(pages_hub: Hub, somebody: Somebody) -> None:
    owner, name, password = somebody()
    organisation = f"{name}-team"
    with Wire(pages_hub) as wire:
        wire("POST", "/api/v1/orgs", f'{{"name":"{organisation}"}}'.encode(), basic(name, password),
             content_type="application/json")  # fmt: skip
        link = invite(owner, organisation=organisation)
        browser, joining, secret = somebody()
        asked = browser.get(link)
        joined = browser.follow(browser.submit(asked.form("/signup")))
        members = wire("GET", f"/api/v1/orgs/{organisation}/members", headers=basic(joining, secret))

    assert organisation in asked.words and f"Join as {joining}" in asked.words
    assert "You are a member now." in joined.words
    assert members.status == 200 and joining in members.body.decode()
    assert browser.get(link).status == 404


def test_who_comes_signed_out_may_sign_in_and_join(pages_hub: Hub, boss: Browser, visitor: Browser) -> None:
    with Wire(pages_hub) as wire:
        wire("POST", "/api/v1/orgs", b'{"name":"joiners"}', basic(pages_hub.admin, pages_hub.password),
             content_type="application/json")  # fmt: skip
    link = invite(boss, organisation="joiners")
    tags = visitor.get(link).reader.tags
    href = next(found["href"] for tag, found in tags if tag == "a" and "next=" in found.get("href", ""))
    form = visitor.get(href).form("/login")
    page = visitor.submit(form, name=pages_hub.admin, password=pages_hub.password)

    assert page.location == link


def test_everybody_signs_up_where_that_is_open(visitor: Browser) -> None:
    taken = fill(visitor, visitor.get("/signup"), "/signup", "boss")
    done = fill(visitor, taken, "/signup", "open-signer")

    assert taken.status == 409 and "taken" in taken.words
    assert done.location == "/"
    assert "open-signer" in visitor.get("/account").words


def test_nobody_signs_up_where_that_is_closed(accounts_hub: Hub) -> None:
    browser = Browser(accounts_hub)
    browser.get("/login")
    csrf = browser.cookies["dockyard_form"]
    fields = {"csrf": csrf, "name": "closed-signer", "password": PASSWORD, "again": PASSWORD}

    assert browser.get("/signup").status == 403
    assert browser.post("/signup", fields).status == 403
    assert "Sign up" not in browser.get("/").words
    assert Browser(accounts_hub).sign_in("closed-signer", PASSWORD).status == 403


@pytest.mark.parametrize("extra", ["administrator", "is_admin", "kind", "id", "email", "organisation"])
def test_a_field_that_the_form_does_not_have_does_nothing(visitor: Browser, extra: str) -> None:
    name = f"mass-{extra.replace('_', '-')}"
    form = visitor.get("/signup").form("/signup").fields
    filled = form | {"name": name, "password": PASSWORD, "again": PASSWORD, extra: "true"}
    done = visitor.post("/signup", filled)

    assert done.status == 303
    assert "Administrator" not in visitor.get("/account").words
    assert visitor.get("/account").form("/account", do="profile").fields["email"] == [""]
