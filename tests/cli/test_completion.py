from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from images import busybox

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
