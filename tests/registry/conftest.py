"""Hubs without a door."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest
from registry.pushing import Clock

from dockyard.config import ServeSettings
from dockyard.registry.content import Registry
from dockyard.registry.database import Database
from dockyard.registry.hub import Hub
from dockyard.registry.migrate import migrate
from dockyard.registry.passwords import Hashing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_registry(tmp_path: Path, clock: Clock) -> AsyncIterator[Callable[..., Awaitable[Registry]]]:
    """``await open_registry(**settings)``: one more process's worth of the same hub.

    Those that the test does not end with ``close`` of their own are closed with it.
    """
    opened: list[Registry] = []

    async def open_one(**settings: object) -> Registry:
        values = {"data": str(tmp_path / "hub"), "auth": "none"} | settings
        opened.append(await Registry.open(ServeSettings(**values), clock=clock))
        return opened[-1]

    yield open_one
    for registry in reversed(opened):
        if not registry.closed:
            await registry.close()


@pytest.fixture
async def registry(open_registry: Callable[..., Awaitable[Registry]]) -> Registry:
    return await open_registry()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the migrations leave it; to run them takes longer than most tests do."""
    path = tmp_path_factory.mktemp("migrated") / "hub.db"
    database = Database.at(path)
    asyncio.run(migrate(database, "tests"))
    database.close()
    return path


@pytest.fixture
async def open_hub(tmp_path: Path, clock: Clock, migrated: Path) -> AsyncIterator[Callable[..., Awaitable[Hub]]]:
    """``await open_hub(**settings)``: one more process's worth of the same hub with accounts."""
    opened: list[Hub] = []
    (tmp_path / "hub").mkdir()
    shutil.copy(migrated, tmp_path / "hub")

    async def open_one(**settings: object) -> Hub:
        values = {"data": str(tmp_path / "hub"), "auth": "accounts", "url": "https://hub.example"} | settings
        hashing = Hashing(time_cost=1, memory_cost=8, parallelism=1)  # so that tests take no seconds
        opened.append(await Hub.open(ServeSettings(**values), clock=clock, hashing=hashing))
        return opened[-1]

    yield open_one
    for hub in reversed(opened):
        if not hub.content.closed:
            await hub.close()


@pytest.fixture
async def hub_of_accounts(open_hub: Callable[..., Awaitable[Hub]]) -> Hub:
    return await open_hub()
