from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from images import busybox
from servers import DOCKYARD

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Machine


def completed(machine: Machine, line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    env = {
        "_DOCKYARD_COMPLETE": "bash_complete",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    return [row.partition(",")[2] for row in machine.ok(env=env).splitlines() if row]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_for_our_name(shell: str, dockyard: Machine) -> None:
    script = dockyard.ok("completion", shell)

    assert "_DOCKYARD_COMPLETE" in script
    assert "dockyard" in script


def test_the_script_is_one_that_bash_reads(dockyard: Machine) -> None:
    check = subprocess.run(["bash", "-n"], input=dockyard.ok("completion", "bash"), text=True, capture_output=True)

    assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dockyard image pu", ["pull", "push"]),
        ("dockyard rmi ", ["localhost:5000/team/app:1", "localhost:5000/team/app:2", "other:1"]),
        ("dockyard push loc", ["localhost:5000/team/app:1", "localhost:5000/team/app:2"]),
        ("dockyard push localhost:50", ["5000/team/app:1", "5000/team/app:2"]),
        ("dockyard push localhost:5000/team/app:", ["1", "2"]),
    ],
)
def test_bash_is_offered_names_with_colons(line: str, offered: list[str], dockyard: Machine, tmp_path: Path) -> None:
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'made')}:latest", "engine:other:1")
    for tag in "12":
        dockyard.ok("tag", "other:1", f"localhost:5000/team/app:{tag}")
    script = f'''{dockyard.ok("completion", "bash")}
        COMP_LINE={line!r} COMP_POINT={len(line)}
        _dockyard_completion {DOCKYARD}
        printf '%s\\n' "${{COMPREPLY[@]}}"'''
    done = subprocess.run(["bash", "-c", script], env=dockyard.env, capture_output=True, text=True)

    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_commands_and_flags_are_completed(dockyard: Machine) -> None:
    assert completed(dockyard, "dockyard im") == ["image", "images", "import"]
    assert completed(dockyard, "dockyard image in") == ["inspect"]
    assert "--digests" in completed(dockyard, "dockyard image ls --d")


def test_names_of_images_contexts_and_settings_are_completed(dockyard: Machine, tmp_path: Path) -> None:
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'made')}:latest", "engine:team/app:1")
    dockyard.ok("context", "create", "windows")

    assert completed(dockyard, "dockyard rmi te") == ["team/app:1"]
    assert completed(dockyard, f"dockyard --root {tmp_path} rmi te") == []
    assert completed(dockyard, "dockyard context use w") == ["windows"]
    assert completed(dockyard, "dockyard config get serve.l") == ["serve.listen", "serve.log-level"]
