"""Who a container's process is: ``USER name[:group]`` by an image's etc/passwd and etc/group. Pure.

Source: passwd(5), group(5); what docker makes of them: numbers need no entry, and further groups come only where none
is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = (1 << 31) - 1
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and groups by number."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def identify(user: str, passwd: str = "", group: str = "") -> Identity:
    """Who ``user[:group]`` is; root where nothing is said. Invalid, in docker's words.

    Numbers are decimal and at most 2147483647: larger ones would come round to root.
    """
    name, _, group_name = user.partition(":")
    uid, gid, known = _user(name, passwd)
    if group_name:
        return Identity(uid, _group(group_name, group))
    groups = [_checked(int(fields[2])) for fields in _lines(group, 4) if known and known in fields[3].split(",")]
    return Identity(uid, gid, tuple(dict.fromkeys(groups)))


def _user(name: str, passwd: str) -> tuple[int, int, str]:
    number = _number(name or "0")
    for fields in _lines(passwd, 7):
        if int(fields[2]) == number if number is not None else fields[0] == name:
            return _checked(int(fields[2])), _checked(int(fields[3] or "0")), fields[0]
    if number is None:
        raise Invalid(f"unable to find user {name}: no matching entries in passwd file")
    return _checked(number), 0, ""


def _group(name: str, group: str) -> int:
    number = _number(name)
    for fields in _lines(group, 4):
        if int(fields[2]) == number if number is not None else fields[0] == name:
            return _checked(int(fields[2]))
    if number is None:
        raise Invalid(f"unable to find group {name}: no matching entries in group file")
    return _checked(number)


def _number(text: str) -> int | None:
    # int() takes much more than digits, and is slow on very many of them.
    return int(text) if len(text) < 20 and _NUMBER.fullmatch(text) else None


def _checked(number: int) -> int:
    if not 0 <= number <= _LARGEST:
        raise Invalid(f"uids and gids must be in range 0-{_LARGEST}")
    return number


def _lines(text: str, count: int) -> Iterator[list[str]]:
    """The fields of each entry, padded; entries whose number is none are left out."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            fields = (line.strip().split(":") + [""] * count)[:count]
            gid = fields[3] if count == 7 else ""
            if _number(fields[2]) is not None and (not gid or _number(gid) is not None):
                yield fields
