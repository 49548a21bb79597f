"""Members of a layer become files, in a process that is already shut into the folder they belong in.

What is here decides what a layer means, not what it can reach: that is the confinement's. Whiteouts are applied in
the order of the archive, as docker, containerd and podman do: a whiteout also hides what stands before it in its
own layer, and not what stands after it. An opaque one hides nothing of its own layer.

Source: OCI image specification, ``layer.md``, section "Applying Changesets".
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from dockyard.content.attributes import Notices, set_xattr
from dockyard.content.layer_folders import LayerFolders, join, links_lead_somewhere
from dockyard.content.tar import Kind, Member, TarReader, normal
from dockyard.errors import ArchiveInvalid, Denied

WHITEOUT, OPAQUE, AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
MAX_NAME = 4095
_FILES = (b"0", b"\0", b"7", b"S")
_SPECIAL = {b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Applier:
    """Applies one layer to ``/``. ``opaque`` is the attribute for folders that hide those of lower layers; where it
    is empty lower layers are in the same tree, and what is hidden is removed.
    """

    def __init__(self, *, opaque: str, entries: int, size: int) -> None:
        """Take at most ``entries`` files and folders, with at most ``size`` bytes in them, holes included."""
        self._overlay, self._left, self._size = bool(opaque), size, size
        self.notices = Notices()
        self.folders = LayerFolders(opaque=opaque, entries=entries, notices=self.notices)

    def put(self, member: Member, reader: TarReader) -> None:
        """Apply one member, whose content ``reader`` stands before."""
        name = normal(member.name)
        self._check(member, name)
        above, _, base = name.rpartition("/")
        if base == OPAQUE:
            self.folders.hide_below(self.folders.find(above, member))
        elif AUFS in name and any(part.startswith(AUFS) for part in name.split("/")):
            pass  # what aufs kept for itself
        elif base.startswith(WHITEOUT):
            self._hide(base[len(WHITEOUT) :], above, member)
        elif member.kind is Kind.FOLDER:
            self.folders.describe(name, member)
        elif not base:
            raise ArchiveInvalid("the layer has a member without a name that is no folder")
        else:
            parent = self.folders.find(above, member)
            path = join(parent.path, base)
            self.folders.own(parent, path)
            if member.kind is Kind.FILE:
                self._put_file(path, member, reader)
            elif member.kind is Kind.SYMLINK:
                self._put_symlink(path, member)
            elif member.kind is Kind.HARDLINK:
                self._put_hardlink(path, member)
            else:
                self._put_special(path, member)

    def _check(self, member: Member, name: str) -> None:
        self.folders.count()
        self._left -= max(member.size, member.full_size)
        if self._left < 0:
            raise ArchiveInvalid(f"the layer has files of more than {self._size} bytes together: refused")
        if len(name) > MAX_NAME or len(os.fsencode(name)) > MAX_NAME:
            raise ArchiveInvalid(f"the layer has a member whose name is too long: {name[:200]!r}")

    def _hide(self, base: str, above: str, member: Member) -> None:
        """Remove ``base``, or mark it as removed for the layers below."""
        if base in ("", ".", ".."):
            raise ArchiveInvalid(f"the layer has a whiteout of nothing: {member.name[:200]!r}")
        folder = self.folders.find(above, member)
        self.folders.clear(join(folder.path, base))
        if self._overlay:
            try:
                self.folders.mark(folder, base)
            except PermissionError:
                raise Denied(
                    "this user may not make the marks of removed files that overlayfs reads",
                    hint="Run as root, or in a user namespace on Linux 5.8 or later.",
                ) from None

    def _put_file(self, path: str, member: Member, reader: TarReader) -> None:
        if member.type not in _FILES:
            raise ArchiveInvalid(f"the layer has a member of unknown type {member.type!r}: {member.name[:200]!r}")
        try:
            file = os.open(path, _CREATE, 0o600)
        except FileExistsError:
            self.folders.clear(path)
            file = os.open(path, _CREATE, 0o600)
        try:
            if member.holes is None:
                while piece := reader.read():
                    _write(file, piece)
            else:
                _write_parts(file, member, reader)
            os.fchown(file, member.uid, member.gid)
            os.fchmod(file, member.mode)  # after the owner, whose change takes setuid away
            for attribute, value in member.xattrs.items():
                set_xattr(file, attribute, value, name=member.name, notices=self.notices)
            os.utime(file, ns=(member.mtime, member.mtime))
        finally:
            os.close(file)

    def _put_symlink(self, path: str, member: Member) -> None:
        if not member.link:
            raise ArchiveInvalid(f"the layer has a link that leads nowhere: {member.name[:200]!r}")
        self.folders.clear(path)
        os.symlink(member.link, path)
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
        self._describe(path, member)

    def _put_hardlink(self, path: str, member: Member) -> None:
        target = "/" + normal(member.link)
        with links_lead_somewhere(member.link):
            try:
                found = os.lstat(target)
            except FileNotFoundError:
                raise _no_target(member) from None
        if stat.S_ISDIR(found.st_mode) or (stat.S_ISCHR(found.st_mode) and not found.st_rdev):
            raise _no_target(member)  # the second is a whiteout
        with suppress(FileNotFoundError):
            if os.path.samestat(found, os.lstat(path)):
                return
            self.folders.clear(path)
        try:
            os.link(target, path, follow_symlinks=False)
        except FileNotFoundError:  # it was in what had to make place
            raise _no_target(member) from None
        if (found.st_uid, found.st_gid) != (member.uid, member.gid):  # even the same owner takes capabilities away
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(path, member.mode)
            self._describe(path, member)

    def _put_special(self, path: str, member: Member) -> None:
        kind = _SPECIAL[member.type]
        major, minor = member.device if kind != stat.S_IFIFO else (0, 0)
        if major >= 1 << 12 or minor >= 1 << 20:
            raise ArchiveInvalid(f"the layer has a device with an impossible number: {member.name[:200]!r}")
        self.folders.clear(path)
        if kind == stat.S_IFCHR and not major and not minor:
            self.notices.add(f"{member.name[:200]!r} is skipped: a device of that number is a mark of overlayfs")
            return
        try:
            os.mknod(path, kind | 0o600, os.makedev(major, minor))
        except PermissionError:
            self.notices.add(f"{member.name[:200]!r} is skipped: this user may not make devices")
            return
        os.chown(path, member.uid, member.gid)
        os.chmod(path, member.mode)
        self._describe(path, member)

    def _describe(self, path: str, member: Member) -> None:
        """Attributes and time of what is neither opened nor followed."""
        for attribute, value in member.xattrs.items():
            set_xattr(path, attribute, value, name=member.name, notices=self.notices, follow=False)
        os.utime(path, ns=(member.mtime, member.mtime), follow_symlinks=False)


def _write(file: int, piece: bytes) -> None:
    written = os.write(file, piece)
    while written < len(piece):
        written += os.write(file, memoryview(piece)[written:])


def _write_parts(file: int, member: Member, reader: TarReader) -> None:
    for offset, length in member.holes or ():
        os.lseek(file, offset, os.SEEK_SET)
        while length:
            piece = reader.read(length)
            _write(file, piece)
            length -= len(piece)
    os.ftruncate(file, member.full_size)


def _no_target(member: Member) -> ArchiveInvalid:
    return ArchiveInvalid(
        f"the layer has a link {member.name[:200]!r} to {member.link[:200]!r}, which is no file in it"
    )
