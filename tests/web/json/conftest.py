"""Fixtures of the tests of the JSON API: one hub with accounts, and people who ask it."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
from canary import PASSWORD
from servers import Hub
from web.json.api import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def api_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that believes us where we are: wrong passwords of one test are no business of the next."""
    data = tmp_path_factory.mktemp("api-hub") / "data"
    server = Hub(data, "--trusted-proxies", "127.0.0.1", "--insecure-http", auth="accounts")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def nobody(api_hub: Hub) -> Iterator[Api]:
    """Somebody who does not say who they are."""
    with Api(api_hub) as opened:
        yield opened


@pytest.fixture(scope="session")
def boss(api_hub: Hub) -> Iterator[Api]:
    """The administrator of the hub."""
    with Api(api_hub, api_hub.admin, api_hub.password) as opened:
        yield opened.with_token()


@pytest.fixture(scope="session")
def person(api_hub: Hub, boss: Api) -> Iterator[Callable[[], Api]]:
    """``person()``: a new user of the hub, who asks with a token."""
    with contextlib.ExitStack() as opened:

        def make() -> Api:
            name, password = f"person{next(_numbers)}", PASSWORD
            boss.ok("POST", "/users", {"name": name, "password": password})
            return opened.enter_context(Api(api_hub, name, password)).with_token()

        yield make


@pytest.fixture(scope="session")
def somebody(person: Callable[[], Api]) -> Api:
    """A user for requests that change nothing."""
    return person()


@pytest.fixture
def ada(person: Callable[[], Api]) -> Api:
    """A user."""
    return person()


@pytest.fixture
def bob(person: Callable[[], Api]) -> Api:
    """Another user."""
    return person()


@pytest.fixture
def org(ada: Api) -> str:
    """An organisation that ada owns."""
    name = f"org{next(_numbers)}"
    made = ada("POST", "/orgs", {"name": name})
    assert made.status == 201, made.body
    return name
