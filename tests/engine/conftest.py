"""An engine with a store of its own, and quick images for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import images as make
import pytest
from engine.builds import Builds, add_busybox
from web_files import WebFiles

from dockyard.config import ClientSettings
from dockyard.engine.engine import Engine


class Clock:
    """A time that moves when it is told to: seconds since 1970."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_engine(tmp_path: Path, clock: Clock) -> Callable[..., Engine]:
    """``open_engine(name, …)``: the engine of a machine of that name; further arguments are settings."""

    def opener(name: str = "here", **settings: str) -> Engine:
        return Engine.open(ClientSettings(root=str(tmp_path / name), **settings), clock=clock)

    return opener


@pytest.fixture
def engine(open_engine: Callable[..., Engine]) -> Engine:
    return open_engine()


@pytest.fixture
def add(engine: Engine) -> Callable[..., str]:
    """``add("name:tag", "word", …)``: import an image whose content is the word; return its ID."""

    def adder(name: str | None, word: str = "word", *changes: str, into: Engine | None = None) -> str:
        archive = make.tar([(f"{word}.txt", word.encode() * 100)])
        return str((into or engine).import_(io.BytesIO(archive), name, changes=changes))

    return adder


@pytest.fixture
def web() -> Iterator[WebFiles]:
    """A web server for files."""
    with WebFiles() as server:
        yield server


@pytest.fixture
def builds(engine: Engine, tmp_path: Path) -> Builds:
    """``await builds("FROM …", …)``: build a Dockerfile with the files in ``builds.folder``."""
    return Builds(engine, tmp_path / "context")


@pytest.fixture
def busybox(engine: Engine) -> None:
    """An image called ``busybox`` in the store."""
    add_busybox(engine)
