"""What strace wrote, as a list of calls in their order, and whether an answer left before its content was durable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CALLS = "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,rename,renameat,renameat2,link,linkat,sendto,sendmsg"
STRACE = ("strace", "-f", "-y", "-s", "600", "-e", f"trace={CALLS}")

WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
SENDS = {"sendto", "sendmsg", "write", "writev"}
SYNCS = {"fsync", "fdatasync"}
MOVES = {"rename", "renameat", "renameat2", "link", "linkat"}

_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)")
_FILE = re.compile(r"\d+<(?P<path>/[^>]*)>")
_NAMES = re.compile(r'"(?P<path>/[^"]*)"')


@dataclass(frozen=True)
class Call:
    """One system call. ``path`` is its file (what a move moves); ``target`` where a move puts it."""

    thread: str
    name: str
    path: str
    target: str
    text: str


def parse(lines: Iterable[str]) -> list[Call]:
    """The calls, each where it counts: syncs and moves where they ended, what is written or sent where it began."""
    calls: list[Call] = []
    begun: dict[str, Call] = {}
    for line in lines:
        if not (whole := _LINE.match(line)):
            continue
        thread, rest = whole["thread"], whole["rest"]
        if _RESUMED.match(rest):
            if call := begun.pop(thread, None):
                calls.append(call)
            continue
        if not (match := _CALL.match(rest)) or " = -1 " in rest:
            continue
        call = _call(thread, match["name"], match["arguments"])
        if rest.endswith("<unfinished ...>") and call.name in SYNCS | MOVES:
            begun[thread] = call
        else:
            calls.append(call)
    return calls


def _call(thread: str, name: str, arguments: str) -> Call:
    if name in MOVES:
        names = _NAMES.findall(arguments)
        return Call(thread, name, names[0] if names else "", names[-1] if names else "", arguments)
    file = _FILE.match(arguments)
    return Call(thread, name, file["path"] if file else "", "", arguments)


class TooEarly(AssertionError):
    """An answer left before what it acknowledges was durable."""


def require_durable_before(calls: list[Call], answer: str, *, stored: str, database: str) -> None:
    """Check the order before the answer that has ``answer`` in it, for the file whose final name holds ``stored``.

    The file is synced after its last write, then moved to its name, then its folder is synced, then what is written
    to the ``database`` (its main or side files) is synced, and only then the answer leaves.
    """
    sent = _first(
        calls, lambda call: call.name in SENDS and not call.path and answer in call.text, f"answer {answer!r}"
    )
    before = calls[:sent]
    moved = _first(before, lambda call: call.name in MOVES and stored in call.target, f"a move to {stored}")
    source, target = before[moved].path, before[moved].target
    _synced_after_writes(before[:moved], source, "the file")
    folder = target.rpartition("/")[0]
    synced = moved + _first(
        before[moved:], lambda call: call.name in SYNCS and call.path == folder, f"a sync of the folder {folder}"
    )
    rows = before[synced:]
    if not any(call.name in WRITES and call.path.startswith(database) for call in rows):
        raise TooEarly("nothing was committed between the folder's sync and the answer")
    # Other threads write rows of their own at any time: each has to sync what it wrote itself.
    for thread in {call.thread for call in rows if call.name in WRITES and call.path.startswith(database)}:
        own = [call for call in rows if call.thread == thread and call.path.startswith(database)]
        if own[-1].name not in SYNCS:
            raise TooEarly("the answer left before the database was synced")


def _synced_after_writes(calls: list[Call], path: str, what: str) -> None:
    of_it = [call for call in calls if call.path == path and call.name in WRITES | SYNCS]
    if not any(call.name in WRITES for call in of_it):
        raise TooEarly(f"{what} was never written: {path}")
    if of_it[-1].name not in SYNCS:
        raise TooEarly(f"{what} was moved to its name before it was synced")


def _first(calls: list[Call], wanted: Callable[[Call], bool], what: str) -> int:
    for position, call in enumerate(calls):
        if wanted(call):
            return position
    raise TooEarly(f"there is no {what}")
