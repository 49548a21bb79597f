"""Contexts: each has a platform and a store of its own, and shows only its own images."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dockyard.engine.contexts import Contexts
from dockyard.engine.engine import Engine
from dockyard.errors import Conflict, ContextUnknown, Invalid
from dockyard.oci.platform import Platform, host_platform

WINDOWS = Platform.parse("windows(10.0.17763)/amd64")


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    return Contexts(tmp_path / "here")


def test_default_is_always_there_for_linux_on_this_machine(contexts: Contexts) -> None:
    assert contexts.get("default").platform == host_platform("linux", os.uname().machine)
    assert [context.name for context in contexts.list()] == ["default"]
    assert not contexts.folder.exists()


def test_a_context_keeps_its_platform(contexts: Contexts) -> None:
    made = contexts.create("win", WINDOWS, description="the shop's", now=12.0)

    assert made == contexts.get("win")
    assert (made.platform, made.created, made.description) == (WINDOWS, 12.0, "the shop's")
    assert [context.name for context in contexts.list()] == ["default", "win"]


def test_each_context_has_images_of_its_own(
    contexts: Contexts, open_engine: Callable[..., Engine], add: Callable[..., str]
) -> None:
    contexts.create("windows", WINDOWS)
    linux, windows = open_engine(), open_engine(context="windows")
    add("tweet-app", "linux", into=linux)
    image = add("tweet-app", "windows", into=windows)

    assert [row.platform for row in linux.rows()] == [str(linux.context.platform)]
    assert [(str(row.id), row.platform) for row in windows.rows()] == [(image, "windows/amd64")]
    assert windows.inspect("tweet-app")["OsVersion"] == "10.0.17763"
    contexts.remove("windows")
    assert [context.name for context in contexts.list()] == ["default"]
    assert len(linux.rows()) == 1
    assert os.listdir(contexts.folder) == ["default"]


def test_a_name_is_taken_once(contexts: Contexts) -> None:
    contexts.create("one", WINDOWS)
    for name in ("one", "default"):
        with pytest.raises(Conflict, match="already exists"):
            contexts.create(name, Platform("linux", "arm64"))

    assert contexts.get("one").platform == WINDOWS


def test_of_many_who_create_one_name_one_does(contexts: Contexts) -> None:
    made: list[str] = []

    def create() -> None:
        with contextlib.suppress(Conflict):
            made.append(Contexts(contexts.folder.parent).create("one", WINDOWS).name)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == ["one"]
    assert os.listdir(contexts.folder / "one") == ["context.json"]


@pytest.mark.parametrize("name", ["", "a", "../up", "a/b", ".hidden", "-flag", "sp ace", "x" * 129, "a\0b"])
def test_names_that_could_be_anything_else_are_refused(contexts: Contexts, name: str) -> None:
    for verb in (contexts.get, contexts.remove, lambda name: contexts.create(name, WINDOWS)):
        with pytest.raises(Invalid, match="context name"):
            verb(name)  # type: ignore[operator]


def test_what_is_not_there_is_said(contexts: Contexts, open_engine: Callable[..., Engine]) -> None:
    with pytest.raises(ContextUnknown, match='context "nowhere" does not exist'):
        contexts.remove("nowhere")
    with pytest.raises(ContextUnknown):
        open_engine(context="nowhere")
    with pytest.raises(Conflict, match="cannot be removed"):
        contexts.remove("default")


def test_a_damaged_context_is_said(contexts: Contexts) -> None:
    contexts.create("one", WINDOWS)
    (contexts.folder / "one/context.json").write_text("{")
    with pytest.raises(Invalid, match="damaged"):
        contexts.get("one")
