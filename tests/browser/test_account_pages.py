"""The pages of accounts as people meet them: on a phone and on a desk, light and dark, with the keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from canary import OTHER_PASSWORD, PASSWORD, WRONG_PASSWORD
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from servers import Hub

pytestmark = pytest.mark.slow


@pytest.fixture
def hub(start_hub: Callable[..., Hub]) -> Hub:
    """A hub that nobody has an account on yet."""
    return start_hub("--signup", "open", auth="accounts", env={"DOCKYARD_ADMIN": ""}, workers=1)


def inspect(page: Page) -> None:
    """Hold a page against what everybody can use, in each look that it has."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            found = Axe().run(page).response["violations"]
            assert not found, f"{page.url} {scheme} {width}: {found}"
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{page.url} is wider than a window of {width}"


def set_up(page: Page, hub: Hub) -> None:
    """Make the first administrator, ada, by the link that the server printed."""
    link = re.search(r"http://\S+/setup\?code=\S+", hub.line())
    assert link
    page.goto(link[0])
    inspect(page)
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("link", name="ada")).to_be_visible()


def sign_in(page: Page, password: str = PASSWORD) -> None:
    """Sign ada in, by keyboard alone."""
    page.goto(page.url.partition("?")[0].rsplit("/", 1)[0] + "/login")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_the_first_administrator_sets_up_and_signs_out_and_in(hub: Hub, page: Page) -> None:
    page.goto(hub.url)
    inspect(page)
    page.goto(f"{hub.url}/setup")
    inspect(page)
    set_up(page, hub)
    inspect(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    inspect(page)
    sign_in(page, WRONG_PASSWORD)
    expect(page.get_by_role("alert")).to_have_text("Incorrect user name or password.")
    inspect(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="ada")).to_be_visible()


def test_every_page_of_the_settings_can_be_used_by_everybody(hub: Hub, page: Page) -> None:
    set_up(page, hub)
    for path in ("/account", "/account/tokens", "/account/two-factor", "/account/sessions", "/account/invitations"):
        page.goto(hub.url + path)
        inspect(page)
    page.goto(f"{hub.url}/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    inspect(page)


def test_a_token_is_made_and_revoked(hub: Hub, page: Page) -> None:
    set_up(page, hub)
    page.goto(f"{hub.url}/account/tokens")
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("Ends").select_option("after the day")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("alert")).to_be_visible()
    inspect(page)
    page.get_by_label("Ends").select_option("in 30 days")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("The token")).to_have_text(re.compile(r"^dyp_\w{40}$"))
    inspect(page)
    page.get_by_role("link", name="Back to the tokens").click()
    expect(page.get_by_role("rowheader", name="laptop")).to_be_visible()
    inspect(page)
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("status")).to_contain_text("Revoked.")


def test_two_factors_are_turned_on_and_asked_for(hub: Hub, page: Page) -> None:
    set_up(page, hub)
    page.goto(f"{hub.url}/account/two-factor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_alt_text("QR code of the secret")).to_be_visible()
    assert page.evaluate("document.images[0].naturalWidth") > 0
    inspect(page)
    totp = pyotp.TOTP(page.get_by_label("The secret").inner_text())
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    inspect(page)
    page.get_by_label("Code").fill(totp.now())
    page.get_by_role("button", name="Confirm").click()
    codes = page.locator(".codes code").all_inner_texts()
    inspect(page)
    page.get_by_role("link", name="I have kept them").click()
    inspect(page)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page)
    expect(page.get_by_label("Code")).to_be_focused()
    inspect(page)
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")

    expect(page.get_by_role("link", name="ada")).to_be_visible()
    assert len(codes) == 10


def test_somebody_is_invited(hub: Hub, page: Page) -> None:
    set_up(page, hub)
    page.goto(f"{hub.url}/account/invitations")
    page.get_by_label("For").fill("Grace")
    page.get_by_role("button", name="Make an invitation").click()
    link = page.get_by_label("The link").inner_text()
    inspect(page)
    page.goto(link)
    inspect(page)
    page.goto(f"{hub.url}/account/invitations")
    expect(page.get_by_role("rowheader", name="Grace")).to_be_visible()
    inspect(page)
    page.get_by_role("button", name="Sign out").click()
    page.goto(link)
    inspect(page)
    page.get_by_label("User name").fill("grace")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill(OTHER_PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_have_text("The two passwords are not the same.")
    inspect(page)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()

    expect(page.get_by_role("link", name="grace")).to_be_visible()
