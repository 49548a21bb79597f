"""Fixtures of the tests of the hub's HTTP."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from web.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Hub

_numbers = itertools.count()


@pytest.fixture
def wire(hub: Hub) -> Iterator[Wire]:
    """A connection to the shared hub."""
    with Wire(hub) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A repository of the test's own."""
    return f"web/test-{next(_numbers)}"
