"""Extended attributes of a layer's files, and what to say of those that can't be kept."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import E2BIG, EACCES, EINVAL, ENOSPC, ENOTSUP, EPERM, ERANGE

MAX_NOTICES = 50
DEFAULT_ACL = "system.posix_acl_default"
_KEEP_OUT = ("trusted.", "user.overlay.")  # what overlayfs believes: a layer could show files of others with it
_NOT_KEPT = {E2BIG, EACCES, EINVAL, ENOSPC, ENOTSUP, EPERM, ERANGE}


class Notices:
    """What could not be kept; no more of it than anybody reads."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Say one thing more."""
        if len(self.texts) < MAX_NOTICES:
            self.texts.append(text)
        elif len(self.texts) == MAX_NOTICES:
            self.texts.append("and more")


def set_xattr(at: str | int, attribute: str, value: bytes, *, name: str, notices: Notices, follow: bool = True) -> None:
    """Set one attribute of what a layer calls ``name``; a notice where the system does not take it."""
    what = f"{attribute[:100]!r} of {name[:200]!r}"
    if attribute.startswith(_KEEP_OUT):
        notices.add(f"{what} is not kept: it is the system's own")
        return
    try:
        os.setxattr(at, attribute, value, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise
        notices.add(f"{what} is not kept: {error.strerror}")


def clear_xattrs(path: str, *, but: str) -> None:
    """Remove a folder's attributes, except ``but``."""
    for attribute in os.listxattr(path):
        if attribute != but:
            with suppress(OSError):  # some are made by the system and stay
                os.removexattr(path, attribute)
