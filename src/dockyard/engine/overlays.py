"""Layers mounted one on the other, and mount points that an image lacks, in the launching process' own namespace."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine import host

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINKS = 255  # as many as runc follows


def mount_overlay(
    target: Path, lowers: Sequence[Path], links: Path, *, upper: Path | None = None, rootless: bool = False
) -> None:
    """Mount layers, the lowest first, on ``target``; writable with ``upper``, whose ``work`` is beside it. OSError.

    ``links`` is a new folder for links with short names to the layers: the kernel takes one page of options, and they
    also keep colons and commas of paths out of it.
    """
    links.mkdir()
    names = []
    for number, lower in enumerate(reversed(lowers)):
        os.symlink(lower, links / str(number))
        names.append(str(number))
    while len(names) < (1 if upper else 2):  # overlayfs wants two layers where nothing can be written
        (links / f"empty{len(names)}").mkdir(mode=0o755)
        names.append(f"empty{len(names)}")
    options = ["lowerdir=" + ":".join(names)]
    if upper:
        os.symlink(upper, links / "upper")
        os.symlink(upper.parent / "work", links / "work")
        options += ["upperdir=upper", "workdir=work"]
    options += ["userxattr"] if rootless else ["redirect_dir=off", "metacopy=off", "index=off"]
    before = os.getcwd()
    os.chdir(links)
    try:
        try:
            # What a command syncs is not needed after a crash: the layer is made durable once it is complete.
            host.mount("overlay", str(target), "overlay", data=",".join([*options, *(["volatile"] if upper else [])]))
        except OSError as error:
            if error.errno != errno.EINVAL or not upper:
                raise
            host.mount("overlay", str(target), "overlay", data=",".join(options))
    finally:
        os.chdir(before)


def real_parts(root: int, path: str) -> list[str]:
    """Where ``path`` leads with ``root`` as the root folder, all links followed; parts that are not there stay."""
    todo, found, links = path.split("/")[::-1], list[str](), 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            found = found[:-1]
            continue
        link = _link(root, "/".join([*found, part]))
        if link is None:
            found.append(part)
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        todo += link.split("/")[::-1]
        found = [] if link.startswith("/") else found
    return found


def _link(root: int, path: str) -> str | None:
    try:
        descriptor = host.open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.readlink("", dir_fd=descriptor) if stat.S_ISLNK(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def make_stubs(root: int, stubs: Path, targets: Sequence[tuple[str, bool]]) -> list[str]:
    """Make a layer of the mount points that a root folder lacks, and say which paths those are.

    ``targets`` are paths, each with whether it is a folder. Folders on the way that are there get the same mode, owner,
    time and attributes, so that laying the stubs over them changes nothing.
    """
    made: list[str] = []
    for target, is_folder in targets:
        parts = real_parts(root, target)
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            try:
                descriptor = host.open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
            except FileNotFoundError:
                if not (stubs / path).exists():
                    _make_stub(root, stubs, parts[:count], folder=is_folder or count < len(parts))
                    made.append(path)
                continue
            except NotADirectoryError:
                break
            os.close(descriptor)
    if made:
        imitate(root, "", stubs)
        for folder in sorted(path for path in stubs.rglob("*") if path.is_dir()):
            if (name := str(folder.relative_to(stubs))) not in made:
                imitate(root, name, folder)
    return made


def _make_stub(root: int, stubs: Path, parts: list[str], *, folder: bool) -> None:
    path = stubs.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        path.mkdir()
        path.chmod(0o755)
    else:
        path.touch()
        path.chmod(0o644)


def imitate(root: int, path: str, copy: Path) -> None:
    """Give ``copy`` the mode, owner, times and attributes of a folder in a tree."""
    descriptor = host.open_inside(root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        os.chown(copy, found.st_uid, found.st_gid)
        copy.chmod(stat.S_IMODE(found.st_mode))
        for name in os.listxattr(descriptor):
            if not name.startswith(("trusted.overlay.", "user.overlay.")):
                with suppress(OSError):
                    os.setxattr(copy, name, os.getxattr(descriptor, name))
        os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        os.close(descriptor)
