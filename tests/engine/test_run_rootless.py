"""RUN for somebody who is not root: in a user namespace, with the ranges of /etc/subuid and without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import as_root

pytestmark = pytest.mark.slow
NOBODY = 65534
# Everything is imported first: the tests' own Python may be where only root can read.
SCRIPT = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent.parent), *(place for place in sys.path if place.startswith("/"))]!r}
import ctypes, json, os
from pathlib import Path
from dockyard.engine.snapshots import Stack
from dockyard.engine.user_namespace import become_root
from dockyard.errors import BuildFailed
from engine.containers import Runs, busybox

os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
seen = {{"others": become_root()}}
folder = Path(sys.argv[1])
runs = Runs(folder, Stack((busybox(folder / "layer", bare=True),)))
for name, words, more in json.loads(sys.argv[2]):
    try:
        seen[name] = runs(words, **more)
    except BuildFailed as error:
        seen[name] = error.message
    seen[name + ":layer"] = {{path: [found.st_uid, found.st_gid] for path, found in runs.changed().items()}}
seen["mounts"] = runs.mounts()
print(json.dumps(seen))
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the user owns, below folders that he may pass."""
    found = tmp_path_factory.mktemp("home")
    found.chmod(0o777)
    for parent in found.parents:
        if "pytest" in str(parent):
            parent.chmod(0o711)
    return found


def run_as_user(home: Path, subuid: str, *runs: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """What the commands wrote and changed, on a machine with this /etc/subuid and /etc/subgid."""
    (home / "subuid").write_text(subuid)
    files = " && ".join(f"mount --bind {home}/subuid {target}" for target in ("/etc/subuid", "/etc/subgid"))
    python = sys.executable
    if subprocess.run(as_root("setpriv", f"--reuid={NOBODY}", "test", "-x", python), check=False).returncode:
        python = "/usr/bin/python3"
    script = f'{files} && exec "$@"'
    words = ["sh", "-c", script, "sh", python, "-c", SCRIPT, str(home), json.dumps(runs)]
    done = subprocess.run(as_root("unshare", "--mount", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_user_with_a_range_runs_commands_as_any_user(home: Path) -> None:
    seen = run_as_user(
        home,
        "nobody:200000:65536\n",
        ("root", "id -u; touch /x; chown 33:44 /x; echo 1 >/dev/null; rm /etc/group; ls -c /dev", {}),
        ("ann", "id; touch /tmp/x 2>&1 || true", {"user": "ann"}),
        ("sys", "touch /sys/fs/x /proc/sys/x 2>&1 | grep -c 'Read-only'; mknod /m c 1 3 2>&1", {}),
    )

    assert seen["others"]
    assert seen["root"].split()[0] == "0"
    assert {"null", "full", "pts", "shm", "tty", "zero"} <= set(seen["root"].split())
    assert seen["root:layer"] == {"x": [33, 44], "etc": [0, 0], "etc/group": [0, 0]}
    assert seen["ann"].startswith("uid=1000(ann) gid=1001(staff) groups=10(wheel),29(audio)")
    assert "did not complete" in seen["sys"]
    assert not [line for line in seen["mounts"] if "/etc/sub" not in line]


def test_a_user_without_a_range_runs_commands_as_root_alone(home: Path) -> None:
    seen = run_as_user(
        home,
        "ada:200000:65536\n",
        ("root", "id -u; touch /x; chown 33:44 /x || echo alone", {}),
        ("ann", "id -u", {"user": "ann"}),
    )

    assert not seen["others"]
    assert seen["root"] == "0\nalone\n"
    assert seen["root:layer"] == {"x": [0, 0]}
    assert "did not complete successfully" in seen["ann"]


def test_a_users_command_can_be_without_a_network(home: Path) -> None:
    seen = run_as_user(
        home, "nobody:200000:65536\n", ("none", "ip -o link | grep -c eth0 || true", {"network": "none"})
    )

    assert seen["none"] == "0\n"
