"""What can be said about an unpacked layer only beside those below it, for overlayfs to show their stack rightly.

A folder that a layer only passes through, such as ``/tmp``, has to be as the layers below have it, not as unpacking
made it up. And where no layer below has a folder, overlayfs does not merge it, and would list marks of removed files
in it as if they were files. No link is followed, in any layer.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_MARKS = ("trusted.overlay.", "user.overlay.")


def settle(target: int, implied: Iterable[str], marked: Iterable[str], lowers: Sequence[Path]) -> bool:
    """Make an unpacked layer, the open folder ``target``, fit the unpacked layers below it, lowest first.

    ``implied`` are its folders that it does not describe, ``marked`` those with whiteouts in them. Return whether
    anything was changed.
    """
    layers = [os.open(lower, _FOLDER) for lower in reversed(lowers)]
    try:
        changed = [_visit(target, name, layers, _describe) for name in implied]
        changed += [_visit(target, name, layers, _drop_marks) for name in marked]
    finally:
        for layer in layers:
            os.close(layer)
    return any(changed)


def _visit(target: int, name: str, layers: list[int], act: Callable[[int, int | None], bool]) -> bool:
    """Call ``act`` with a folder of the layer and the one below that it is merged with, if there is one."""
    parts = [part for part in name.split("/") if part]
    if ".." in parts or "." in parts:
        return False
    ours, hidden = _walk(target, parts)
    if ours is None:
        return False
    below = None
    try:
        for layer in layers:
            if hidden:
                break
            below, hidden = _walk(layer, parts)
            if below is not None:
                break
        return act(ours, below)
    finally:
        os.close(ours)
        if below is not None:
            os.close(below)


def _describe(ours: int, below: int | None) -> bool:
    if below is None:
        return False
    _copy(below, ours)
    return True


def _drop_marks(ours: int, below: int | None) -> bool:
    if below is not None and not _is_opaque(ours):
        return False
    time = os.fstat(ours).st_mtime_ns
    for name in os.listdir(ours):
        found = os.lstat(name, dir_fd=ours)
        if stat.S_ISCHR(found.st_mode) and not found.st_rdev:
            os.unlink(name, dir_fd=ours)
    os.utime(ours, ns=(time, time))
    return True


def _walk(top: int, parts: list[str]) -> tuple[int | None, bool]:
    """A folder by its path, and whether something above it hides it, or its place, in the layers below."""
    here, hidden = os.dup(top), False
    for part in parts:
        hidden = hidden or _is_opaque(here)
        try:
            inner = os.open(part, _FOLDER, dir_fd=here)
        except OSError:
            hidden = hidden or _is_there(here, part)
            os.close(here)
            return None, hidden
        os.close(here)
        here = inner
    return here, hidden


def _is_there(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except OSError:
        return False
    return True  # a file, a link, a whiteout


def _is_opaque(folder: int) -> bool:
    try:
        return any(mark in _OPAQUE for mark in os.listxattr(folder))
    except OSError:  # a file system without attributes
        return False


def _copy(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for attribute in os.listxattr(source):
        if not attribute.startswith(_MARKS):
            with suppress(OSError):  # unpacking said so where a layer's attributes can't be kept
                os.setxattr(target, attribute, os.getxattr(source, attribute))
    os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
