"""Removing a tree of files that strangers made: of any depth, with few open files, links never followed."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TAKEN = {errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}  # the name is a file's, or a folder's that has something in it


def remove_tree(path: str | Path) -> None:
    """Remove the folder ``path`` and all that is in it.

    Folders that are not empty are moved up to the top before they are emptied: the deepest path is then two names
    long, where paths that strangers made may be longer than a system takes, and deeper than Python can recurse.
    """
    top = os.open(path, _FOLDER)
    try:
        names = count()
        while _empty(top, top, names):
            pass
    finally:
        os.close(top)
    os.rmdir(path)


def _empty(folder: int, top: int, names: Iterator[int]) -> bool:
    """Remove what is in a folder, folders moved up to ``top``; whether there was anything."""
    found = False
    with os.scandir(folder) as entries:
        for entry in entries:
            found = True
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
            elif folder == top:
                inner = os.open(entry.name, _FOLDER, dir_fd=top)
                try:
                    _empty(inner, top, names)
                finally:
                    os.close(inner)
                with suppress(OSError):  # not empty yet: the next round goes on
                    os.rmdir(entry.name, dir_fd=top)
            else:
                _move_up(entry.name, folder, top, names)
    return found


def _move_up(name: str, folder: int, top: int, names: Iterator[int]) -> None:
    try:
        os.rmdir(name, dir_fd=folder)
        return
    except OSError:
        pass  # not empty
    while True:
        try:
            os.rename(name, f".{next(names)}", src_dir_fd=folder, dst_dir_fd=top)
            return
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
