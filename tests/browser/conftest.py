"""A real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The browser. It ends with the test: while Playwright runs, nothing else can run a loop in this process."""
    with sync_playwright() as playwright:
        # Its sandbox needs more than the containers that tests run in give; it only sees our own pages.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window with cookies of its own. What the browser complains about fails the test."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # Answers that refuse something are reported as failures to load.
    assert not [text for text in complaints if "the server responded with a status of" not in text]
