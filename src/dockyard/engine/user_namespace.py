"""Root without being root: a user namespace for this process, in which it may mount, and give files to other users.

The helpers ``newuidmap`` and ``newgidmap`` map the ranges of ``/etc/subuid`` and ``/etc/subgid``. Without them, or
without a range, the process is root there and nobody else exists: enough for files that are all root's.

Source: user_namespaces(7), newuidmap(1), subuid(5).
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine import host
from dockyard.errors import DockyardError

if TYPE_CHECKING:
    from collections.abc import Callable


def become_root() -> bool:
    """Put this process, which has one thread, into a user namespace where it is root, as far as the machine allows.

    Return whether other users exist there: whether files may be given to them.
    """
    user, group = os.geteuid(), os.getegid()
    process = os.getpid()
    with _Helper(lambda: _map_ranges(process, user, group)) as helper:
        try:
            host.unshare(host.CLONE_NEWUSER)
        except OSError:
            return False  # this machine gives no user namespaces: whatever needs one says so
        if helper.ends_well():
            return True
        _map_alone(user, group)
        return False


def ranges(text: str, name: str, number: int) -> list[tuple[int, int]]:
    """The ranges of a user, each with its first ID and how many there are, in the text of ``/etc/subuid``."""
    rows = [line.strip().split(":") for line in text.splitlines()]
    return [
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in (name, str(number)) and row[1].isdecimal() and row[2].isdecimal()
    ]


class _Helper:
    """A child that stays outside of the namespace, and does one thing there once it is told to."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._is_over = False

    def __enter__(self) -> _Helper:
        reading, self._writing = os.pipe()
        self._number = os.fork()
        if self._number == 0:
            os.close(self._writing)
            code = 1
            try:
                if os.read(reading, 1):
                    self._action()
                    code = 0
            except (DockyardError, OSError):
                code = 1  # there is a second way
            finally:
                os._exit(code)
        os.close(reading)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._writing)
        if not self._is_over:
            os.waitpid(self._number, 0)

    def ends_well(self) -> bool:
        """Let it do its thing; whether it could."""
        os.write(self._writing, b"\n")
        self._is_over = True
        return os.waitpid(self._number, 0)[1] == 0


def _map_ranges(process: int, user: int, group: int) -> None:
    """Map root to us, and all other IDs to our ranges. Unavailable; OSError."""
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    for program, file, number in (("newuidmap", "/etc/subuid", user), ("newgidmap", "/etc/subgid", group)):
        words, inside = [program, str(process), "0", str(number), "1"], 1
        found = ranges(Path(file).read_text(), name, user)
        if not found:
            raise OSError(f"{file} has no range for {name}")
        for start, count in found:
            words += [str(inside), str(start), str(count)]
            inside += count
        host.run_program(words)


def _map_alone(user: int, group: int) -> None:
    """Map root to us, and nobody else. Nothing, where the users were mapped and the groups could not be."""
    for name, text in (("uid_map", f"0 {user} 1"), ("setgroups", "deny"), ("gid_map", f"0 {group} 1")):
        path = Path("/proc/self", name)
        if name == "setgroups" or not path.read_text().strip():
            path.write_text(text)
