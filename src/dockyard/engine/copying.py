"""COPY and ADD: from sources in a tree to the entries of a layer, without unpacking the stage that they go into.

A plan knows its checksum without looking at the stage; only the entries ask where links lead there, and which folders
there are. What BuildKit does decides wherever the reference is silent: a folder's content goes into the destination,
whose own mode, owner and time are never the source folder's; folders that are there already stay as they are.

Source: docker's Dockerfile reference, "ADD" and "COPY".
"""

from __future__ import annotations

import hashlib
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.engine.added_archives import open_archive
from dockyard.engine.copy_sources import Picked, pick
from dockyard.engine.fetching import FetchedFile, FetchedTree, refuse_remote
from dockyard.engine.ownership import Owner, read_mode, read_owner
from dockyard.engine.placement import Placement
from dockyard.engine.stack_tree import StackTree
from dockyard.engine.walking import SECOND
from dockyard.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.content.known_frames import Lazy
    from dockyard.content.layers import Entry
    from dockyard.content.trees import Tree
    from dockyard.dockerfile.steps import CopyAction
    from dockyard.engine.checksums import Checksums
    from dockyard.engine.walking import WalkTree

    Source = Picked | FetchedFile | tuple[str, bytes]


def plan_copy(
    action: CopyAction,
    tree: WalkTree | None,
    sums: Checksums,
    work: Path,
    *,
    fetched: Mapping[str, FetchedFile | FetchedTree] | None = None,
    keep_owners: bool | None = None,
) -> CopyPlan:
    """Find everything that a COPY or ADD takes. BuildFailed where a source is not there.

    ``tree`` is what the sources are in, ``None`` where they are all ``fetched`` ones, by their text, or inline.
    ``keep_owners`` is whether files keep their owners, as by default they do from layers. Compressed archives are
    unpacked into files without names in ``work``.
    """
    if len(action.sources) + len(action.inline) > 1 and not action.destination.endswith("/"):
        raise BuildFailed(
            f"When using {'ADD' if action.add else 'COPY'} with more than one source file, "
            "the destination must be a directory and end with a /"
        )
    if keep_owners is None:
        keep_owners = isinstance(tree, StackTree)
    sources: list[Source] = []
    for text in action.sources:
        refuse_remote(action.add, text)
        found = (fetched or {}).get(text)
        if isinstance(found, FetchedFile):
            sources.append(found)
        elif isinstance(found, FetchedTree):
            sources += pick(found.tree, found.folder, excludes=action.excludes)
        elif tree is not None:
            sources += pick(tree, text, parents=action.parents, excludes=action.excludes)
        else:
            raise BuildFailed(f'"{text}": not found')
    sources += action.inline
    return CopyPlan(action, tuple(sources), sums, work, keep_owners)


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What a COPY or ADD takes; made by :func:`plan_copy`."""

    action: CopyAction
    sources: tuple[Source, ...]
    sums: Checksums
    work: Path
    keep_owners: bool

    def checksum(self) -> str:
        """A checksum of everything that goes into the layer but times: names, kinds, modes, links, content.

        Owners are in it where they are kept. BuildFailed, Unavailable.
        """
        hasher = hashlib.sha256()
        for source in self.sources:
            if isinstance(source, Picked):
                self.sums.fill(source.tree, source.items)
                hasher.update(_described(source, self.keep_owners))
            elif isinstance(source, FetchedFile):
                hasher.update(b"file\0%s\0%s\0" % (source.name.encode(), str(source.digest).encode()))
            else:
                hasher.update(b"text\0%s\0%s\0" % (source[0].encode(), hashlib.sha256(source[1]).digest()))
        return hasher.hexdigest()

    def entries(self, target: Tree | None, time: int) -> Iterator[tuple[Entry, BinaryIO | bytes | Lazy | None]]:
        """The layer's entries with their content, which is open until the next one is asked for.

        Parents come first, each path once, in an order that only the paths decide. ``target`` is the stage, ``None``
        where there is nothing in it; with ``--link`` it is only asked who users are. ``time`` in seconds is what
        folders get that are made on the way, and inline files. BuildFailed.
        """
        action = self.action
        owner = read_owner(action.chown, target) if action.chown else None
        mode = read_mode(action.chmod) if action.chmod else None
        placement = Placement(None if action.link else target, owner or Owner(), time * SECOND)
        with ExitStack() as stack:
            for number, source in enumerate(self.sources):
                if isinstance(source, Picked):
                    self.sums.fill(source.tree, source.items)
                if isinstance(source, Picked) and source.is_folder:
                    placement.folder(action.destination, source, number, self._owner(owner), mode)
                elif not isinstance(source, tuple) and (archive := self._archive(source, stack)):
                    placement.archive(action.destination, archive, number, owner)
                elif isinstance(source, Picked):
                    placement.found(action.destination, source, number, self._owner(owner), mode)
                elif isinstance(source, FetchedFile):
                    placement.file(action.destination, source.name, _node(source, owner, mode), source.open)
                else:
                    bits = mode(0o644, False) if mode else 0o644
                    placement.text(action.destination, *source, owner or Owner(), bits)
            yield from placement.entries()

    def _owner(self, owner: Owner | None) -> Owner | None:
        return owner or (None if self.keep_owners else Owner())

    def _archive(self, source: Picked | FetchedFile, stack: ExitStack) -> Picked | None:
        """The members of a source that ADD unpacks, ``None`` of any other."""
        remote = isinstance(source, FetchedFile)
        if not (self.action.add and (not remote if self.action.unpack is None else self.action.unpack)):
            return None
        if isinstance(source, FetchedFile):
            file = source.open()
        elif source.items[0].is_file:
            file = source.tree.open(source.items[0].path)
        else:
            return None
        tree = stack.enter_context(open_archive(file, self.work, source.name))
        return None if tree is None else Picked(tree, source.name, "", True, tree.walk(""))


def checksum_of(tree: WalkTree, path: str, sums: Checksums, *, owners: bool = False) -> str:
    """A checksum of all that is at a path, as :meth:`CopyPlan.checksum` makes it. BuildFailed where nothing is."""
    hasher = hashlib.sha256()
    for picked in pick(tree, path):
        sums.fill(tree, picked.items)
        hasher.update(_described(picked, owners))
    return hasher.hexdigest()


def _described(picked: Picked, owners: bool) -> bytes:
    """What of a source makes a difference to a layer, in one text."""
    lines = bytearray(b"%s\0%s\0" % (b"folder" if picked.is_folder else b"one", _raw(picked.name)))
    known: dict[tuple[int, int], int] = {}
    for number, found in enumerate(picked.items):
        status = found.status
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            mode |= 0o777
        lines += b"%s\0%o\0%s\0" % (_raw(picked.inside(found)), mode, found.digest.hex().encode())
        if owners:
            lines += b"%d:%d\0" % (status.st_uid, status.st_gid)
        if found.link:
            lines += b">%s\0" % _raw(found.link)
        if status.st_rdev and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            lines += b"d%d\0" % status.st_rdev
        if status.st_nlink > 1 and found.is_file:
            lines += b"=%d\0" % known.setdefault((status.st_dev, status.st_ino), number)
        if found.xattrs:
            lines += b"".join(b"@%s=%s\0" % (_raw(name), value.hex().encode()) for name, value in found.xattrs.items())
        if found.path in picked.bare:
            lines += b"bare\0"
        lines += b"\0"  # no path is empty: here ends what is said of one
    return bytes(lines)


def _node(file: FetchedFile, owner: Owner | None, mode: Callable[[int, bool], int] | None) -> Node:
    """A downloaded file as docker makes it: root's alone to read."""
    bits = mode(0o600, False) if mode else 0o600
    owner = owner or Owner()
    return Node(Kind.FILE, bits, owner.uid, owner.gid, file.mtime * SECOND, file.size)


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
