"""What the tests of the client share: a registry whose faults they choose, and clients that do not wait."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from content.fake_registry import FakeRegistry, fake_registry

from dockyard.content.http import RegistryClient
from dockyard.content.retry import Retry


async def _at_once(_: float) -> None:
    """Wait for no time at all."""


@pytest.fixture
def retry() -> Retry:
    """Tries again without waiting."""
    return Retry(sleep=_at_once)


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    """A registry on loopback over plain HTTP."""
    async with fake_registry() as registry:
        yield registry


@pytest.fixture
async def client_of(retry: Retry) -> AsyncIterator[Callable[..., RegistryClient]]:
    """``client_of(host, …)``: a client that is closed with the test."""
    clients: list[RegistryClient] = []

    async def make(host: str, **settings: object) -> RegistryClient:
        client = RegistryClient(host, **({"retry": retry} | settings))  # type: ignore[arg-type]
        clients.append(await client.__aenter__())
        return client

    yield make  # type: ignore[misc]
    for client in clients:
        await client.__aexit__()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority for localhost and 127.0.0.1, with its key beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "hub.key", "-out", "hub.crt", "-days", "2", "-subj", "/CN=hub.test",
         "-addext", "subjectAltName=DNS:hub.test,DNS:localhost,IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "hub.crt"
