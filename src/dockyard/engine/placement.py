"""Where copied files come to lie in a stage, and what of the stage they change: the entries of one layer."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dockyard.content.known_frames import Lazy
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.engine.walking import SECOND, joined, normal, read_whole, resolve
from dockyard.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from dockyard.content.trees import Tree
    from dockyard.engine.copy_sources import Picked
    from dockyard.engine.ownership import Owner
    from dockyard.engine.walking import Found, Reader, WalkTree

    Change = Callable[[int, bool], int]

SMALL = 1024 * 1024
"""Bytes up to which a file is read at once."""
_WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True)
class _Placed:
    """One entry to be: its content comes from a tree, from what opens it, or is there."""

    node: Node
    tree: WalkTree | None = None
    found: Found | None = None
    open: Callable[[], BinaryIO] | None = None
    data: bytes = b""
    group: tuple[int, int, int] | None = None  # of files that are one under several names


class Placement:
    """Collects what comes where. ``target`` is the stage, ``None`` for none.

    Folders made on the way belong to ``owner`` and have the time ``time`` in nanoseconds.
    """

    def __init__(self, target: Tree | None, owner: Owner, time: int) -> None:
        self._target = target
        self._implied = Node(Kind.FOLDER, 0o755, owner.uid, owner.gid, time // SECOND * SECOND, type=b"5")
        self._placed: dict[str, _Placed] = {}
        self._made: set[str] = set()  # folders that are known to be there

    def file(self, destination: str, name: str, node: Node, open: Callable[[], BinaryIO]) -> None:
        """Place a file that is not from a tree."""
        self._put(self._place_of(destination, name), _Placed(node, open=open))

    def text(self, destination: str, name: str, content: bytes, owner: Owner, mode: int) -> None:
        """Place a file with this content."""
        node = Node(Kind.FILE, mode, owner.uid, owner.gid, self._implied.mtime, len(content))
        self._put(self._place_of(destination, name), _Placed(node, data=content))

    def found(self, destination: str, picked: Picked, number: int, owner: Owner | None, mode: Change | None) -> None:
        """Place a single file, link or device of a tree, the ``number``\\ th source."""
        (one,) = picked.items
        path = self._place_of(destination, picked.name)
        self._put(path, _placed(picked, one, number, owner, mode))

    def folder(self, destination: str, picked: Picked, number: int, owner: Owner | None, mode: Change | None) -> None:
        """Place the content of a folder."""
        top = self._top(destination)
        self._make(top)
        for one in picked.items:
            path = joined(top, picked.inside(one))
            placed = _placed(picked, one, number, owner, mode)
            before = self._lstat(path)
            if one.is_folder and before and before.kind is not Kind.FOLDER:
                raise BuildFailed(f"cannot copy to non-directory: /{path}")
            if one.path in picked.bare and before:
                # A parent that is there already only takes over the mode, as in BuildKit.
                if before.mode == placed.node.mode:
                    continue
                placed = replace(placed, node=replace(before, mode=placed.node.mode))
            self._put(path, placed)

    def archive(self, destination: str, picked: Picked, number: int, owner: Owner | None) -> None:
        """Place the members of an archive: they take the place of what is in their way.

        Folders that no member tells of lead where links in the stage lead.
        """
        top = self._top(destination)
        self._make(top)
        places = {"": top}
        for one in picked.items:
            parent, _, name = one.path.rpartition("/")
            path = joined(places[parent], name)
            if one.is_folder and one.status.st_ino == 0:
                path = self._real(path)
                self._make(path)
            else:
                before = self._lstat(path)
                if before and not (one.is_folder and before.kind is Kind.FOLDER):
                    self._drop(path)
                self._put(path, _placed(picked, one, number, owner, None), replacing=True)
            if one.is_folder:
                places[one.path] = path

    def entries(self) -> Iterator[tuple[Entry, BinaryIO | bytes | Lazy | None]]:
        """Everything, parents first, with its content, which is open until the next is asked for, or opened later."""
        first: dict[tuple[int, int, int], str] = {}
        with ExitStack() as stack:
            readers: dict[int, Reader] = {}
            for path in sorted(self._placed, key=_order):
                placed = self._placed[path]
                if placed.group:
                    before = first.setdefault(placed.group, path)
                    if before != path:
                        yield (
                            Entry(path, replace(placed.node, kind=Kind.HARDLINK, link=before, size=0, type=b"1")),
                            None,
                        )
                        continue
                if placed.tree is not None and placed.found is not None and placed.node.kind is Kind.FILE:
                    key = id(placed.tree)
                    if key not in readers:
                        readers[key] = stack.enter_context(placed.tree.reader())
                    if placed.found.digest:
                        yield (
                            Entry(path, placed.node),
                            Lazy(partial(readers[key].open, placed.found), placed.found.digest),
                        )
                        continue
                    with readers[key].open(placed.found) as file:
                        yield Entry(path, placed.node), _content(file, placed.node.size)
                elif placed.open:
                    with placed.open() as file:
                        yield Entry(path, placed.node), file
                else:
                    yield Entry(path, placed.node), placed.data if placed.node.kind is Kind.FILE else None

    def _place_of(self, destination: str, name: str) -> str:
        """Where a file of that name comes to lie: in the destination where that is a folder, else as it."""
        path = self._top(destination)
        if destination.endswith("/"):
            self._make(path)
        found = self._lstat(path) if path else self._implied
        if found and found.kind is Kind.FOLDER:
            path = joined(path, name)
        if (before := self._lstat(path)) and before.kind is Kind.FOLDER:
            raise BuildFailed(f"cannot replace to directory /{path} with file")
        return path

    def _top(self, destination: str) -> str:
        # Only what is in the stage can lead elsewhere: ".." in the text goes up as it stands.
        return self._real(normal(destination))

    def _real(self, path: str) -> str:
        def link_at(path: str) -> str | None:
            found = self._lstat(path)
            return found.link if found and found.kind is Kind.SYMLINK else None

        return resolve(link_at, path)

    def _lstat(self, path: str) -> Node | None:
        if path in self._placed:
            return self._placed[path].node
        return self._target.lstat(path) if self._target else None

    def _make(self, folder: str) -> None:
        """Make a folder and those above it that are not there."""
        if not folder or folder in self._made:
            return
        done = ""
        for part in folder.split("/"):
            done = joined(done, part)
            if done in self._made:
                continue
            found = self._lstat(done)
            if found is None:
                _refuse(done)
                self._placed[done] = _Placed(self._implied)
            elif found.kind is not Kind.FOLDER:
                raise BuildFailed(f"mkdir /{done}: not a directory")
            self._made.add(done)

    def _put(self, path: str, placed: _Placed, *, replacing: bool = False) -> None:
        self._make(path.rpartition("/")[0])
        _refuse(path)
        if placed.node.kind is not Kind.FOLDER and not replacing:
            before = self._lstat(path)
            if before and before.kind is Kind.FOLDER:
                raise BuildFailed(f"cannot replace to directory /{path} with file")
        self._placed[path] = placed

    def _drop(self, path: str) -> None:
        """Forget what was placed at a path and below."""
        below = f"{path}/"
        for one in [one for one in self._placed if one == path or one.startswith(below)]:
            del self._placed[one]
        self._made -= {one for one in self._made if one == path or one.startswith(below)}


def _placed(picked: Picked, found: Found, number: int, owner: Owner | None, mode: Change | None) -> _Placed:
    node = found.node()
    bits = mode(node.mode, found.is_folder) if mode and not found.is_link else node.mode
    node = Node(
        node.kind,
        bits,
        owner.uid if owner else node.uid,
        owner.gid if owner else node.gid,
        node.mtime,
        node.size,
        node.link,
        node.device,
        node.xattrs,
        node.type,
    )
    status = found.status
    group = (number, status.st_dev, status.st_ino) if status.st_nlink > 1 and found.is_file else None
    return _Placed(node, picked.tree, found, group=group)


def _content(file: BinaryIO, size: int) -> BinaryIO | bytes:
    return file if size > SMALL else read_whole(file, size)


def _order(path: str) -> str:
    return path.replace("/", "\0")


def _refuse(path: str) -> None:
    """A layer tells by such names what it removes: a file can't be called so."""
    if path.rpartition("/")[2].startswith(_WHITEOUT):
        raise BuildFailed(
            f"/{path} can't be in an image: names that begin with {_WHITEOUT!r} stand for removed files in layers",
            hint="Rename it, or leave it out with .dockerignore or --exclude.",
        )
