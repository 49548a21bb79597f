"""runc: how it is called, what it says went wrong, and the cgroups that it leaves.

Source: runc's manual pages; its log with ``--log-format json``.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from dockyard.engine.host import find_program

_CGROUPS = Path("/sys/fs/cgroup")
_PREFIX = "dockyard-build"
_ID = "build"  # the only container in a state folder of its own


def run_words(state: Path, bundle: Path, log: Path) -> list[str]:
    """The words that run the container of ``bundle`` to its end. Unavailable where there is no runc."""
    return [
        find_program("runc"), "--root", str(state), "--log", str(log), "--log-format", "json",
        "run", "--bundle", str(bundle), _ID,
    ]  # fmt: skip


def failure(log: str) -> str:
    """Why runc could not start the command, by its log; empty where it could."""
    for line in log.splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("level") in {"error", "fatal"}:
                return str(entry.get("msg", ""))
    return ""


def cgroup_path(name: str, pid: int) -> str:
    """The cgroup of one container; ``pid`` is the process that removes it, so that others know when it can't."""
    return f"/{_PREFIX}-{pid}-{started(pid)}-{name}"


def started(pid: int) -> str:
    """When a process started, in the machine's ticks; empty where there is none. With the number it is unique."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def remove_cgroups(path: str) -> None:
    """Remove the cgroups of a container that has ended, in every hierarchy."""
    if path:
        for found in (*_CGROUPS.glob(f"*{path}"), _CGROUPS / path.strip("/")):
            _remove(found)  # one of each hierarchy, or the only one


def remove_dead_cgroups() -> None:
    """Remove empty cgroups whose process was killed before it could."""
    for found in (*_CGROUPS.glob(f"*/{_PREFIX}-*"), *_CGROUPS.glob(f"{_PREFIX}-*")):
        pid, _, rest = found.name.removeprefix(f"{_PREFIX}-").partition("-")
        if pid.isdecimal() and rest.partition("-")[0] != started(int(pid)):
            _remove(found)


def _remove(path: Path) -> None:
    with suppress(OSError):
        # The kernel refuses where a process is left.
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)
