"""Whose copied files are and what may be done with them: ``--chown`` and ``--chmod``.

Source: docker's Dockerfile reference, "COPY --chown --chmod"; POSIX.1-2017, ``chmod``, for symbolic modes.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.engine.users import identify
from dockyard.errors import BuildFailed, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.content.trees import Tree

_MOST = (1 << 31) - 1
_MOST_TEXT = 1024 * 1024
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_CHANGE = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": stat.S_ISUID, "g": stat.S_ISGID}


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group by number."""

    uid: int = 0
    gid: int = 0


def read_owner(chown: str, target: Tree | None) -> Owner:
    """What ``--chown=user[:group]`` means; names are looked up in the target's files. BuildFailed.

    A number alone is the user and the group; a name alone brings its group along.
    """
    user, colon, group = chown.partition(":")
    try:
        if user.isdecimal() and user.isascii():
            uid = gid = _number(user)
        elif user:
            found = identify(user, _text(target, "etc/passwd"))
            uid, gid = found.uid, found.gid
        else:
            uid = gid = 0
        if colon and group:
            if group.isdecimal() and group.isascii():
                gid = _number(group)
            else:
                gid = identify(f"0:{group}", "", _text(target, "etc/group")).gid
    except Invalid as error:
        raise BuildFailed(f'invalid --chown "{chown}": {error.message}', hint=error.hint) from None
    return Owner(uid, gid)


def read_mode(chmod: str) -> Callable[[int, bool], int]:
    """What ``--chmod`` means, as a function of a mode and of whether it is a folder's. BuildFailed."""
    if re.fullmatch(r"[0-7]{1,5}", chmod) and int(chmod, 8) <= 0o7777:
        fixed = int(chmod, 8)
        return lambda mode, is_folder: fixed
    clauses = [_CLAUSE.fullmatch(clause) for clause in chmod.split(",")]
    if not all(clauses):
        raise BuildFailed(
            f"invalid chmod parameter: '{chmod}'", hint="It is octal, such as 0644, or symbolic, such as u=rwX,go=rX."
        )

    def changed(mode: int, is_folder: bool) -> int:
        for clause in clauses:
            assert clause  # noqa: S101 - checked above
            for operator, what in _CHANGE.findall(clause[2]):
                mode = _changed(mode, clause[1].replace("a", "ugo") or "ugo", operator, what, is_folder)
        return mode

    return changed


def _changed(mode: int, who: str, operator: str, what: str, is_folder: bool) -> int:
    bits = special = 0
    executable = is_folder or bool(mode & 0o111)
    if what in _SHIFTS:
        bits = mode >> _SHIFTS[what] & 7
    else:
        bits = 4 * ("r" in what) | 2 * ("w" in what) | ("x" in what or ("X" in what and executable))
    if "s" in what:
        special |= _SPECIAL.get("u", 0) * ("u" in who) | _SPECIAL.get("g", 0) * ("g" in who)
    if "t" in what and what not in _SHIFTS:
        special |= stat.S_ISVTX
    wanted = special | sum(bits << _SHIFTS[one] for one in set(who))
    if operator == "+":
        return mode | wanted
    if operator == "-":
        return mode & ~wanted
    # As GNU chmod has it, a folder keeps its special bits unless they are named.
    specials = 0 if is_folder else sum(_SPECIAL.get(one, 0) for one in set(who))
    cleared = specials | sum(7 << _SHIFTS[one] for one in set(who))
    return mode & ~cleared | wanted


def _number(text: str) -> int:
    if len(text) > 10 or int(text) > _MOST:
        raise Invalid(f"uids and gids must be in range 0-{_MOST}")
    return int(text)


def _text(target: Tree | None, path: str) -> str:
    if target is None:
        return ""
    try:
        with target.open(target.real(path)) as file:
            return file.read(_MOST_TEXT).decode(errors="surrogateescape")
    except NotFound:
        return ""
