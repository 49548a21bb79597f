"""Folders in the path of a layer's files that the layer itself says nothing about: they are as in the layers below.

Without that, overlayfs would show a folder that a layer only passes through, such as ``/tmp``, with the mode and
owner that unpacking had to make up. No link is followed, in any layer.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_MARKS = ("trusted.overlay.", "user.overlay.")


def describe_implied(target: int, names: Iterable[str], lowers: Sequence[Path]) -> None:
    """Give each of the folders ``names`` in the open folder ``target`` what the topmost lower layer says of it."""
    layers = [os.open(lower, _FOLDER) for lower in reversed(lowers)]
    try:
        for name in names:
            parts = [part for part in name.split("/") if part]
            if ".." in parts or "." in parts:
                continue
            ours = _walk(target, parts)[0]
            if ours is None:
                continue
            try:
                _describe(ours, parts, layers)
            finally:
                os.close(ours)
    finally:
        for layer in layers:
            os.close(layer)


def _describe(ours: int, parts: list[str], layers: list[int]) -> None:
    for layer in layers:
        found, hidden = _walk(layer, parts)
        if found is not None:
            try:
                _copy(found, ours)
            finally:
                os.close(found)
            return
        if hidden:
            return


def _walk(top: int, parts: list[str]) -> tuple[int | None, bool]:
    """A folder by its path, and where there is none whether something here hides it in the layers below."""
    here, hidden = os.dup(top), _is_opaque(top)
    for part in parts:
        try:
            inner = os.open(part, _FOLDER, dir_fd=here)
        except OSError:
            hidden = hidden or _is_there(here, part)
            os.close(here)
            return None, hidden
        os.close(here)
        here = inner
        hidden = hidden or _is_opaque(here)
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
