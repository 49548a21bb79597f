"""Fixtures that any test may ask for: real servers, real clients, machines of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from servers import Containers, Dockerd, DockerRegistry, Hub, Machine, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# How long an example takes says something of the machine, not of us.
settings.register_profile("dockyard", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # for `make check`
settings.load_profile("dockyard")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files of tests/golden anew")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Our registry, shared by all tests of the session: take names nobody else takes."""
    server = Hub(tmp_path_factory.mktemp("hub") / "data")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def accounts_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Our registry with accounts, shared by all tests of the session: take names nobody else takes."""
    server = Hub(tmp_path_factory.mktemp("accounts-hub") / "data", auth="accounts")
    yield server
    assert server.stop() == 0


@pytest.fixture
def start_hub(tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """``start_hub(*flags, data=, port=, workers=, auth=, host=, env=, wrap=)``: a hub of one's own."""
    with Started(tmp_path / "hubs") as started:
        yield started.hub


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], Machine]:
    """``machine(name)``: our command line on another machine."""
    return lambda name: Machine(tmp_path / f"machine-{name}")


@pytest.fixture
def dockyard(machine: Callable[[str], Machine]) -> Machine:
    """Our command line: ``dockyard("image", "ls")`` returns the completed process, ``dockyard.ok(…)`` its stdout."""
    return machine("here")


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """Debian's docker-registry 2.8, open to everybody, with delete enabled."""
    server = DockerRegistry(tmp_path_factory.mktemp("docker-registry"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def docker_registry_with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """Debian's docker-registry behind a login: user ada, password :data:`servers.PASSWORD`."""
    server = DockerRegistry(tmp_path_factory.mktemp("docker-registry-with-login"), htpasswd=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """docker: ``dockerd("push", …)`` runs its client against a daemon of our own."""
    server = Dockerd(tmp_path_factory.mktemp("dockerd"))
    yield server
    server.stop()


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    """skopeo, podman and buildah: ``containers("skopeo", "copy", …)``."""
    tools = Containers(tmp_path / "containers")
    yield tools
    tools.close()
