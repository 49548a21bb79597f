"""What keeps pages safe: the tokens of forms, their limits, the headers, and errors that say little."""

from __future__ import annotations

import http.client
import sqlite3
from typing import TYPE_CHECKING

import pytest
from servers import get
from web.pages.browsing import FORM, Browser, signed_in

from dockyard.web.pages.forms import FORM_LIMIT
from dockyard.web.pages.site import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

    Somebody = Callable[[], tuple[Browser, str, str]]


@pytest.fixture(scope="session")
def bystander(pages_hub: Hub) -> Browser:
    """One more browser of the administrator, for tests that change nothing in it."""
    return signed_in(pages_hub, pages_hub.admin, pages_hub.password)


CHANGES = {
    "/account": {"do": "profile", "full_name": "Changed", "email": "", "visibility": "private"},
    "/account/tokens": {"do": "create", "name": "forged", "scope": "admin", "expires": "never"},
    "/account/two-factor": {"do": "begin"},
    "/account/sessions": {"do": "end-others"},
    "/account/invitations": {"do": "invite", "note": "forged"},
    "/logout": {},
}
BEFORE_SIGNING_IN = ("/login", "/login/code", "/setup", "/signup")
SHOWN = [page.path for page in PAGES if page.show]


def test_every_form_is_tested_here() -> None:
    assert {page.path for page in PAGES if page.act} == {*CHANGES, *BEFORE_SIGNING_IN}


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("token", ["missing", "wrong", "empty", "another's", "before"])
def test_a_form_without_the_session_s_token_changes_nothing(
    pages_hub: Hub, boss: Browser, bystander: Browser, path: str, token: str
) -> None:
    browser = Browser(pages_hub)
    browser.cookies |= bystander.cookies
    fields = CHANGES[path] | {"password": pages_hub.password}
    before = Browser(pages_hub)
    before.get("/login")
    forged = {
        "missing": {},
        "wrong": {"csrf": "A" * 43},
        "empty": {"csrf": ""},
        "another's": {"csrf": boss.get("/").form("/logout").fields["csrf"][0]},
        "before": {"csrf": before.cookies["dockyard_form"]},
    }[token]
    browser.cookies |= before.cookies
    page = browser.post(path, fields | forged)

    assert page.status == 403
    assert "This form is out of date." in page.words
    assert browser.get("/account").form("/account", do="profile").fields["full_name"] != ["Changed"]
    assert "forged" not in browser.get("/account/tokens").words
    assert "forged" not in browser.get("/account/invitations").words
    assert boss.get("/account").status == 200


@pytest.mark.parametrize("path", BEFORE_SIGNING_IN)
@pytest.mark.parametrize("cookie", [True, False])
def test_a_form_from_elsewhere_signs_nobody_in(pages_hub: Hub, visitor: Browser, path: str, cookie: bool) -> None:
    if cookie:
        visitor.get("/login")
    fields = {"name": pages_hub.admin, "password": pages_hub.password, "again": pages_hub.password, "code": "x"}
    pages = [visitor.post(path, fields | extra) for extra in ({}, {"csrf": ""}, {"csrf": "A" * 43})]

    assert [page.status for page in pages] == [403] * 3
    assert not visitor.session


def test_a_cookie_of_another_shape_is_no_token(visitor: Browser) -> None:
    visitor.cookies["dockyard_form"] = "x"
    page = visitor.post("/login", {"csrf": "x", "name": "boss", "password": "x"})

    assert page.status == 403
    assert "out of date" in page.words


@pytest.mark.parametrize("path", ["/login", "/account"])
def test_a_form_that_is_too_large_is_refused(visitor: Browser, bystander: Browser, path: str) -> None:
    browser = visitor if path == "/login" else bystander
    page = browser.post(path, b"name=" + b"a" * FORM_LIMIT)

    assert page.status == 413
    assert "Too large" in page.words


def test_a_form_without_a_length_is_cut_off_at_the_limit(pages_hub: Hub) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", pages_hub.port, timeout=60)
    headers = {"Content-Type": FORM, "Accept": "text/html"}
    connection.request("POST", "/login", iter([b"a" * 16384] * 16), headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()

    assert status == 413


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("multipart/form-data; boundary=x", b"--x--"), ("application/json", b"{}"), (FORM, b"name=%ff"), (FORM, b"a=%00")],
)
def test_what_is_no_form_is_refused(visitor: Browser, content_type: str, body: bytes) -> None:
    page = visitor.post("/login", body, content_type=content_type)

    assert page.status == 400


@pytest.mark.parametrize("path", [*SHOWN, "/nowhere", "/account/nowhere"])
@pytest.mark.parametrize("who", ["visitor", "boss"])
def test_every_answer_has_the_headers_and_no_script(visitor: Browser, bystander: Browser, path: str, who: str) -> None:
    browser = visitor if who == "visitor" else bystander
    page = browser.get(path)
    headers = page.headers
    private = path in BEFORE_SIGNING_IN

    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == ("no-referrer" if private else "same-origin")
    assert headers["cache-control"] == "no-store"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["strict-transport-security"] is None
    for tag, found in page.reader.tags:
        assert tag not in ("script", "style", "iframe", "object", "base")
        assert not {name for name in found if name == "style" or name.startswith("on")}


@pytest.mark.parametrize("path", SHOWN)
def test_every_field_has_a_label_and_says_what_fills_it(visitor: Browser, bystander: Browser, path: str) -> None:
    for browser in (visitor, bystander):
        page = browser.get(path)
        tags = page.reader.tags
        labels = {found.get("for") for tag, found in tags if tag == "label"}
        for tag, found in tags:
            if tag == "input" and found.get("type") not in ("hidden", "radio", "checkbox") and "hidden" not in found:
                assert found["id"] in labels
                assert found["autocomplete"]
            assert found.get("type") != "password" or found["autocomplete"] in ("current-password", "new-password")


def test_an_error_says_nothing_of_what_was_sent(visitor: Browser) -> None:
    hostile = "/<script>alert(1)</script>%22%27"
    page = visitor.get(hostile.replace("<", "%3C").replace(">", "%3E"))

    assert page.status == 404
    assert "alert(1)" not in page.text and "%22" not in page.text
    assert "Not found" in page.words


@pytest.mark.parametrize("path", ["/logout", "/account/tokens", "/nowhere"])
def test_other_methods_do_nothing(pages_hub: Hub, path: str) -> None:
    assert get(f"{pages_hub.url}{path}", method="DELETE")[0] == 405
    assert get(f"{pages_hub.url}{path}", method="PUT")[0] == 405


def test_what_pages_load_is_there_for_long(pages_hub: Hub, visitor: Browser) -> None:
    page = visitor.get("/login")
    urls = [found["href"] for tag, found in page.reader.tags if tag == "link"]

    assert len(urls) == 2
    for url in urls:
        status, headers, body = get(pages_hub.url + url)
        assert status == 200 and body
        assert "immutable" in headers["cache-control"]
        assert headers["content-type"].startswith(("text/css", "image/svg+xml"))
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/static/nothing", "/static/..%2fsite.py", "/static/../site.py", "/static/"):
        assert get(pages_hub.url + path)[0] == 404


def test_who_is_no_browser_gets_text(pages_hub: Hub) -> None:
    status, headers, body = get(f"{pages_hub.url}/")

    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert f"dockyard push {pages_hub.host}/YOU/NAME:TAG" in body.decode()
    assert get(f"{pages_hub.url}/nowhere")[2] == b"Not Found"


def test_the_address_on_pages_is_the_hub_s_and_not_the_one_asked_for(visitor: Browser, pages_hub: Hub) -> None:
    page = visitor.get("/", Host="evil.example")

    assert "evil.example" not in page.text
    assert f"docker login {pages_hub.host}" in page.words


@pytest.mark.parametrize("path", [*sorted({page.path for page in PAGES} - {"/"}), "/static/style.css"])
def test_a_hub_without_accounts_has_no_pages(hub: Hub, path: str) -> None:
    assert get(hub.url + path)[0] == 404
    assert get(hub.url + path, method="POST")[0] == 404


def test_nothing_secret_is_in_the_log(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts", workers=1)
    browser = signed_in(hub, hub.admin, hub.password)
    made = browser.submit(browser.get("/account/tokens").form("/account/tokens", do="create"), name="laptop")
    begun = browser.submit(browser.get("/account/two-factor").form("/account/two-factor"), password=hub.password)
    invited = browser.submit(browser.get("/account/invitations").form("/account/invitations", do="invite"))
    link = invited.code("The link")
    browser.get(link.removeprefix(hub.url))
    canaries = [hub.password, browser.session, browser.get("/").form("/logout").fields["csrf"][0]]
    canaries += [made.code("The token"), begun.code("The secret"), link.partition("invitation=")[2]]
    hub.stop()
    log = hub.log.read_text()

    assert all(len(canary) > 7 for canary in canaries)
    assert not [canary for canary in canaries if canary in log]


def test_what_fails_inside_is_a_page_that_says_nothing_of_it(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts", workers=1)
    browser = signed_in(hub, hub.admin, hub.password)
    with sqlite3.connect(hub.data / "hub.db", timeout=60) as database:
        database.execute("ALTER TABLE tokens RENAME TO tokens_elsewhere")
        database.execute("UPDATE accounts SET default_private = 0, created = 9223372036854775807")
    unavailable, unforeseen = browser.get("/account/tokens"), browser.get("/account")
    hub.stop()

    assert (unavailable.status, unforeseen.status) == (503, 500)
    for page in (unavailable, unforeseen):
        assert "Its log says more" in page.words
        assert not [word for word in ("table", "sqlite", "Error:", "Traceback", "year") if word in page.text]
        assert page.headers["content-security-policy"]
    assert "no such table" in hub.log.read_text() and "Traceback" in hub.log.read_text()


def test_signing_out_twice_is_no_error(visitor: Browser) -> None:
    page = visitor.post("/logout", {})

    assert (page.status, page.location) == (303, "/")
