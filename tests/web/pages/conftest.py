"""Hubs with accounts, and people who are signed in to them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest
from canary import password_of
from servers import Hub
from web.pages.browsing import Browser, basic, signed_in
from web.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def pages_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that everybody may sign up at, shared by the tests of pages."""
    server = Hub(tmp_path_factory.mktemp("pages-hub") / "data", "--signup", "open", auth="accounts")
    yield server
    assert server.stop() == 0


@pytest.fixture
def visitor(pages_hub: Hub) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(pages_hub)


@pytest.fixture
def somebody(pages_hub: Hub) -> Callable[[], tuple[Browser, str, str]]:
    """``somebody()``: a new user in a browser of their own, with name and password."""

    def make() -> tuple[Browser, str, str]:
        name = f"somebody{next(_numbers)}"
        password = password_of(name)
        body = json.dumps({"name": name, "password": password}).encode()
        administrator = basic(pages_hub.admin, pages_hub.password)
        with Wire(pages_hub) as wire:
            made = wire("POST", "/api/v1/users", body, administrator, content_type="application/json")
        assert made.status == 201, made.body
        return signed_in(pages_hub, name, password), name, password

    return make


@pytest.fixture(scope="session")
def boss(pages_hub: Hub) -> Browser:
    """The browser of the administrator. Sign out in one of your own."""
    return signed_in(pages_hub, pages_hub.admin, pages_hub.password)
