from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from images import busybox, multi_platform

from dockyard.config import config_file

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Machine


def test_a_context_is_made_used_shown_and_removed(dockyard: Machine) -> None:
    created = dockyard("context", "create", "win", "--platform", "windows/amd64", "--description", "Windows images")
    used = dockyard("context", "use", "win")

    assert (created.stdout, created.stderr) == ("win\n", 'Successfully created context "win"\n')
    assert (used.stdout, used.stderr) == ("win\n", 'Current context is now "win"\n')
    assert dockyard.ok("context", "show") == "win\n"
    assert dockyard.ok("context", "ls", "-q") == "default\nwin\n"
    assert dockyard.ok("context", "ls", "--format", "{{.Name}} {{.Platform}} {{.Current}}").splitlines()[1] == (
        "win windows/amd64 true"
    )
    assert dockyard("context", "rm", "win").stderr == ('Error: context "win" is in use, set -f flag to force remove\n')
    assert dockyard.ok("context", "rm", "-f", "win") == "win\n"
    assert dockyard.ok("context", "show") == "default\n"


def test_the_current_context_is_marked(dockyard: Machine) -> None:
    dockyard.ok("context", "create", "win", "--platform", "windows/amd64")
    header, default, win = dockyard.ok("context", "ls").splitlines()

    assert header.split() == ["NAME", "DESCRIPTION", "PLATFORM", "STORE"]
    assert default.startswith("default *   ")
    assert win.startswith("win         ")
    assert "windows/amd64" in win


def test_flag_wins_over_environment_over_setting(dockyard: Machine) -> None:
    for name in ("one", "two", "three"):
        dockyard.ok("context", "create", name)
    dockyard.ok("context", "use", "one")
    env = {"DOCKYARD_CONTEXT": "two"}

    assert dockyard.ok("context", "show") == "one\n"
    assert dockyard.ok("context", "show", env=env) == "two\n"
    assert dockyard.ok("--context", "three", "context", "show", env=env) == "three\n"
    assert "DOCKYARD_CONTEXT overrides the setting" in dockyard("context", "use", "one", env=env).stderr
    assert config_file(dockyard.env).read_text() == 'context = "one"\n'


def test_each_context_shows_only_its_own_images(dockyard: Machine, tmp_path: Path) -> None:
    dockyard.ok("context", "create", "arm", "--platform", "linux/arm64")
    layout = multi_platform(tmp_path / "many")
    dockyard.ok("copy", f"oci:{layout}:latest", "engine:app:1")
    dockyard.ok("-c", "arm", "copy", f"oci:{layout}:latest", "engine:app:2")

    assert dockyard.ok("images", "--format", "{{.Tag}} {{.Platform}}") == "1 linux/amd64\n"
    assert dockyard.ok("-c", "arm", "images", "--format", "{{.Tag}} {{.Platform}}") == "2 linux/arm64\n"


def test_inspect_shows_one_or_the_current(dockyard: Machine) -> None:
    dockyard.ok("context", "create", "win", "--platform", "windows/amd64", "--description", "mine")
    found = json.loads(dockyard.ok("context", "inspect", "win"))

    assert found[0]["Name"] == "win"
    assert found[0]["Metadata"] == {"Description": "mine"}
    assert found[0]["Platform"] == {"os": "windows", "architecture": "amd64"}
    assert dockyard.ok("context", "inspect", "--format", "{{.Name}}") == "default\n"
    assert dockyard.ok("context", "inspect", "-f", "{{.Platform.os}}", "win", "default") == "windows\nlinux\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("use", "nope"), 'context "nope" does not exist'),
        (("rm", "nope"), 'context "nope" does not exist'),
        (("inspect", "nope"), 'context "nope" does not exist'),
        (("create", "default"), '"default" is a reserved context name'),
        (("create", "a b"), 'context name "a b" is invalid'),
        (("create", "../up"), 'context name "../up" is invalid'),
        (("rm", "default"), 'context "default" cannot be removed'),
        (("rm", "-f", "default"), 'context "default" cannot be removed'),
    ],
)
def test_what_no_context_can_be_is_refused(words: tuple[str, ...], says: str, dockyard: Machine) -> None:
    done = dockyard("context", *words)

    assert done.returncode == 1
    assert says in done.stderr


def test_a_name_is_taken_once(dockyard: Machine) -> None:
    dockyard.ok("context", "create", "win")

    assert 'context "win" already exists' in dockyard("context", "create", "win").stderr


def test_a_context_that_is_not_there_is_said_so_by_every_command(dockyard: Machine, tmp_path: Path) -> None:
    for words in (["images"], ["info"], ["copy", f"oci:{busybox(tmp_path / 'made')}:latest", "engine:a"]):
        done = dockyard("--context", "nope", *words)
        assert done.returncode == 1
        assert 'context "nope" does not exist' in done.stderr
