"""Who is not root becomes root of a user namespace, with the IDs that the machine gives."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from servers import as_root

from dockyard.engine.user_namespace import ranges

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
# What a shell does for a user: the IDs, no other groups, and /proc/self is the user's.
BECOME = f"""
import ctypes, os
from dockyard.engine.user_namespace import become_root
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
others = become_root()
print(others, os.getuid(), os.getgid())
print(open("/proc/self/uid_map").read().split())
print(open("/proc/self/gid_map").read().split())
"""


def become(subuid: Path) -> list[str]:
    """What a user sees after becoming root on a machine with this /etc/subuid and /etc/subgid."""
    files = " && ".join(f"mount --bind {subuid} {target}" for target in ("/etc/subuid", "/etc/subgid"))
    script = f'{files} && exec "$@"'
    command = as_root("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", BECOME)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_user_with_a_range_is_root_among_others(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("nobody:200000:1000\nada:300000:65536\n65534:400000:500\n")
    mapped = str(["0", str(NOBODY), "1", "1", "200000", "1000", "1001", "400000", "500"])

    assert become(tmp_path / "subuid") == ["True 0 0", mapped, mapped]


def test_a_user_without_a_range_is_root_alone(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("ada:300000:65536\n")
    mapped = str(["0", str(NOBODY), "1"])

    assert become(tmp_path / "subuid") == ["False 0 0", mapped, mapped]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("ada:100000:65536", [(100000, 65536)]),
        ("bob:1:2\nada:3:4\n1000:5:6\n", [(3, 4), (5, 6)]),
        ("ada:x:65536\nada:1\nada:1:2:3\n# ada:1:2\n\n", []),
    ],
)
def test_ranges_are_those_of_the_user_by_name_or_number(text: str, found: list[tuple[int, int]]) -> None:
    assert ranges(text, "ada", 1000) == found
