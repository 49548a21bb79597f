"""A tree less what ``.dockerignore`` leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.engine.walking import joined
from dockyard.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from dockyard.content.trees import Node
    from dockyard.dockerfile.ignore import IgnoreRules
    from dockyard.engine.walking import Found, Founds, Reader, WalkTree


class SelectedTree:
    """A :class:`~dockyard.engine.walking.WalkTree` that shows of another what ``rules`` leave.

    A folder that is left out is there all the same while something in it is taken again.
    """

    def __init__(self, tree: WalkTree, rules: IgnoreRules) -> None:
        self._tree, self._rules = tree, rules

    @property
    def name(self) -> str:
        """Where the checksums of the whole tree are kept."""
        return self._tree.name

    def look(self, path: str) -> Found | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is, or it is left out."""
        found = self._tree.look(path)
        if found is None or not path or not self._rules.excludes(path, found.is_folder):
            return found
        shown = found.is_folder and self._rules.may_hold(path) and self.walk(path)
        return found if shown else None

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``, whose last part is not followed; ``None`` where nothing is."""
        found = self.look(path)
        return found.node() if found else None

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        return [name for name in self._tree.list(path) if self.look(joined(path, name))]

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading; its last part is not followed. NotFound."""
        if self.look(path) is None:
            raise NotFound(f"/{path}: not found")
        return self._tree.open(path)

    def real(self, path: str) -> str:
        """The path with every link in it followed inside the tree, also the last; parts that are not there stay."""
        return self._tree.real(path)

    def walk(self, top: str, rules: IgnoreRules | None = None) -> Founds:
        """Everything below ``top`` that is left, parents first, names sorted. ``rules`` are not added to its own."""
        return self._tree.walk(top, self._rules)

    def reader(self) -> AbstractContextManager[Reader]:
        """Something to read files with, for one thread."""
        return self._tree.reader()
