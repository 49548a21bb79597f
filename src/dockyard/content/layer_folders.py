"""The folders that a layer's members go into: found, made where no member makes them, and given their times last.

Paths are of the world inside the target, so ``/`` is its top, and links lead nowhere but inside.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ELOOP, ENAMETOOLONG, ENOTDIR
from typing import TYPE_CHECKING

from dockyard.content.attributes import DEFAULT_ACL, Notices, clear_xattrs, set_xattr
from dockyard.content.tree_removal import remove_tree
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockyard.content.tar import Member

MAX_TOLD = 2 * 1024 * 1024
"""Characters of paths that are told for the layers below to be looked at."""
MAX_DEPTH = 500
"""Folders in folders: much more than any image has, and less than programs can recurse that walk through them."""
_REMEMBERED = 10_000
_MAX_PATH = 4095
_MODE = 0o755  # of folders that no layer describes


@dataclass(slots=True)
class Folder:
    """Where a folder really is, and what it gets when no more goes into it.

    ``ours`` means that this layer made it, with all that is in it.
    """

    path: str
    mtime: int
    ours: bool
    acl: bytes | None = None


class LayerFolders:
    """The folders of ``/`` while one layer is applied.

    ``opaque`` is the attribute for folders that hide what lower layers have in them; where it is empty lower layers
    are in the same tree, and what is hidden is removed. ``entries`` is how many files and folders may be made.
    """

    def __init__(self, *, opaque: str, entries: int, notices: Notices) -> None:
        self._opaque, self._entries, self._notices = opaque, entries, notices
        self.entries = self._told = 0
        self.implied: set[str] = set()
        """Folders that no member describes, and that lower layers may."""
        self.marked: set[str] = set()
        """Folders with whiteouts in them."""
        empty = not os.listdir("/")
        if empty:
            os.chown("/", 0, 0)
            os.chmod("/", _MODE)
            self.implied.add("")
        self.root = Folder("/", os.stat("/").st_mtime_ns, ours=empty)
        self._known: dict[str, Folder] = {"": self.root}  # by their own path and by those that lead there
        self._ours: dict[str, bool] = {}  # what this layer made beside what lower ones have, and whether wholly

    def count(self) -> None:
        """Count one file or folder; ArchiveInvalid where it is one too many."""
        self.entries += 1
        if self.entries > self._entries:
            raise ArchiveInvalid(f"the layer has more than {self._entries} files: refused")

    def find(self, name: str, member: Member, *, followed: bool = False) -> Folder:
        """The folder ``name``, links in its path followed; made, with the time of ``member``, where it is missing."""
        if folder := self._known.get(name):
            return folder
        if len(self._known) > _REMEMBERED:
            self.finish()
        missing: list[str] = []
        above = name
        while (found := self._known.get(above)) is None:
            missing.append(above)
            above = above.rpartition("/")[0]
        for part in reversed(missing):
            found = self._step(found, part, member, followed)
            self._known[part] = self._known[found.path[1:]] = found
        return found

    def describe(self, name: str, member: Member) -> None:
        """Make the folder that ``member`` is, or take the one that is there; give it all but its time."""
        folder = self._make(name, member) if name else self.root
        self.implied.discard(folder.path[1:])
        os.chown(folder.path, member.uid, member.gid)
        os.chmod(folder.path, member.mode)
        for attribute, value in member.xattrs.items():
            if attribute == DEFAULT_ACL:
                folder.acl = value  # later: what is put into the folder would inherit it
            else:
                set_xattr(folder.path, attribute, value, name=member.name, notices=self._notices)
        folder.mtime = member.mtime

    def finish(self) -> None:
        """Give the folders their times, which change while files are put into them, and forget them."""
        for folder in self._known.values():
            with suppress(FileNotFoundError):
                if folder.acl is not None:
                    set_xattr(folder.path, DEFAULT_ACL, folder.acl, name=folder.path[1:], notices=self._notices)
                os.utime(folder.path, ns=(folder.mtime, folder.mtime))
        self._known = {"": self.root}

    def clear(self, path: str) -> None:
        """Remove whatever is at ``path``, whose folder was found before; of a link, the link."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder or stat.S_ISLNK(found.st_mode):
            # What is known about paths through here no longer holds; the folder itself is about to change.
            above = path.rpartition("/")[0][1:]
            keep = self._known.get(above)
            self.finish()
            if keep:
                self._known[above] = keep
        if is_folder:
            remove_tree(path)
        else:
            os.unlink(path)

    def hide_below(self, folder: Folder) -> None:
        """Remove what lower layers have in a folder, or mark it as hiding that; what this layer made there stays."""
        if self._opaque:
            os.setxattr(folder.path, self._opaque, b"y")
            return
        if folder.ours:
            return
        waiting = [folder]
        while waiting:
            inside = waiting.pop()
            self._known[inside.path[1:]] = inside
            for name in os.listdir(inside.path):
                path = join(inside.path, name)
                ours = self._ours.get(path)
                if ours is None:
                    self.clear(path)
                elif not ours:
                    known = self._known.get(path[1:])
                    waiting.append(known or Folder(path, os.lstat(path).st_mtime_ns, ours=False))

    def mark(self, folder: Folder, name: str) -> None:
        """Make the mark that overlayfs takes for a removed file."""
        os.mknod(join(folder.path, name), stat.S_IFCHR, os.makedev(0, 0))
        self._tell(self.marked, folder.path[1:])

    def own(self, parent: Folder, path: str, *, wholly: bool = True) -> None:
        """Remember that this layer made ``path``, for an opaque whiteout that may come after it."""
        if self._opaque or parent.ours:
            return
        self._ours[path] = self._ours.get(path, False) or wholly
        above = parent.path
        while above not in self._ours and above != "/":
            self._ours[above] = False
            above = above.rpartition("/")[0] or "/"

    def _step(self, parent: Folder, name: str, member: Member, followed: bool) -> Folder:
        path = join(parent.path, name.rpartition("/")[2])
        if known := self._known.get(path[1:]):
            return known
        if len(path) > _MAX_PATH:
            raise _leads_nowhere(name)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return self._imply(parent, path, member)
        if stat.S_ISDIR(found.st_mode):
            return Folder(path, found.st_mtime_ns, parent.ours or self._ours.get(path, False))
        if stat.S_ISLNK(found.st_mode):
            if followed:
                raise _leads_nowhere(name)
            with links_lead_somewhere(name), suppress(FileNotFoundError):
                if not stat.S_ISDIR(os.stat(path).st_mode):
                    raise _leads_nowhere(name)
            return self.find(os.path.realpath(path).strip("/"), member, followed=True)
        self.clear(path)
        folder = self._imply(parent, path, member)
        self._mark(folder)
        return folder

    def _imply(self, parent: Folder, path: str, member: Member) -> Folder:
        self.count()
        _check_depth(path)
        os.mkdir(path, _MODE)
        os.chown(path, 0, 0)
        os.chmod(path, _MODE)  # also where a folder above gives its own rights on
        self.own(parent, path)
        if self._opaque:
            self._tell(self.implied, path[1:])
        return Folder(path, member.mtime, ours=True)

    def _tell(self, told: set[str], path: str) -> None:
        if path in told:
            return
        if self._told + len(path) > MAX_TOLD:
            self._notices.add("folders that no member describes are not all as in the layers below: they are too many")
            return
        self._told += len(path)
        told.add(path)

    def _make(self, name: str, member: Member) -> Folder:
        above, _, base = name.rpartition("/")
        parent = self.find(above, member)
        path = join(parent.path, base)
        _check_depth(path)
        found = None
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            found = os.lstat(path)
        if found and stat.S_ISDIR(found.st_mode):
            self.own(parent, path, wholly=False)
            clear_xattrs(path, but=self._opaque)
            folder = self._known.get(path[1:]) or Folder(path, 0, parent.ours or self._ours.get(path, False))
        else:
            folder = Folder(path, 0, ours=True)
            self.own(parent, path)
            if found:
                self.clear(path)
                os.mkdir(path, 0o700)
                self._mark(folder)
        self._known[name] = self._known[path[1:]] = folder
        return folder

    def _mark(self, folder: Folder) -> None:
        """A folder in the place of a file shows nothing of what lower layers have there."""
        self.implied.discard(folder.path[1:])
        if self._opaque:
            os.setxattr(folder.path, self._opaque, b"y")


def join(folder: str, name: str) -> str:
    """The path of ``name`` in a folder."""
    return f"{folder}/{name}" if folder != "/" else f"/{name}"


@contextmanager
def links_lead_somewhere(name: str) -> Iterator[None]:
    """Refuse the layer where the system can't follow links."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ELOOP, ENAMETOOLONG, ENOTDIR):
            raise
        raise _leads_nowhere(name) from None


def _check_depth(path: str) -> None:
    if path.count("/") > MAX_DEPTH:
        raise ArchiveInvalid(f"the layer has more than {MAX_DEPTH} folders in each other: {path[:200]!r}")


def _leads_nowhere(name: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"the layer has a member in {name[:200]!r}, which leads to no folder")
