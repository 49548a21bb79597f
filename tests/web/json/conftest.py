"""Fixtures of the tests of the JSON API: one hub with accounts, and people who ask it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from web.json.api import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Hub

_numbers = itertools.count(1)


@pytest.fixture
def nobody(accounts_hub: Hub) -> Iterator[Api]:
    """Somebody who does not say who they are."""
    with Api(accounts_hub) as opened:
        yield opened


@pytest.fixture
def boss(accounts_hub: Hub) -> Iterator[Api]:
    """The administrator of the hub."""
    with Api(accounts_hub, accounts_hub.admin, accounts_hub.password) as opened:
        yield opened


@pytest.fixture
def person(accounts_hub: Hub, boss: Api) -> Iterator[Callable[[], Api]]:
    """``person()``: a new user of the hub, who asks with a password."""
    opened: list[Api] = []

    def make() -> Api:
        name, password = f"person{next(_numbers)}", "correct horse"
        made = boss("POST", "/users", {"name": name, "password": password})
        assert made.status == 201, made.body
        opened.append(Api(accounts_hub, name, password))
        return opened[-1]

    yield make
    for api in opened:
        api.close()


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
