"""Copies for tests: what COPY and ADD would put into a layer, in short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.dockerfile.steps import CopyAction, Origin, Where
from dockyard.engine.checksums import Checksums
from dockyard.engine.copying import CopyPlan, plan_copy
from dockyard.engine.folder_tree import FolderTree
from dockyard.engine.index_tree import IndexTree

if TYPE_CHECKING:
    from pathlib import Path

    from dockyard.engine.walking import WalkTree

CONTEXT = Origin(Where.CONTEXT)
STAGE = Origin(Where.STAGE, stage=0)
TIME = 1_000_000_000


@dataclass(frozen=True)
class Written:
    """One entry with its content."""

    node: Node
    content: bytes | None

    @property
    def owner(self) -> tuple[int, int]:
        return self.node.uid, self.node.gid


def folder(mode: int = 0o755) -> Node:
    return Node(Kind.FOLDER, mode, type=b"5")


def link(to: str) -> Node:
    return Node(Kind.SYMLINK, 0o777, link=to, type=b"2")


def file(size: int = 0) -> Node:
    return Node(Kind.FILE, 0o644, size=size)


def stage(texts: dict[str, bytes] | None = None, **nodes: Node) -> IndexTree:
    """A stage with these things in it; ``__`` in a name is a slash."""
    entries = [Entry(name.replace("__", "/"), node) for name, node in nodes.items()]
    return IndexTree([entries], texts or {})


class Copier:
    """Plans and carries out copies from one tree."""

    def __init__(self, tree: WalkTree | Path, work: Path) -> None:
        self.tree = FolderTree(tree) if not hasattr(tree, "walk") or hasattr(tree, "is_dir") else tree
        self.work = work
        work.mkdir(exist_ok=True)
        self.sums = Checksums(work / "sums")

    def plan(self, *sources: str, to: str, origin: Origin = CONTEXT, fetched: Any = None, **more: Any) -> CopyPlan:
        action = CopyAction(origin, sources, to, **more)
        return plan_copy(action, self.tree, self.sums, self.work, fetched=fetched)

    def __call__(
        self, *sources: str, to: str, into: IndexTree | None = None, origin: Origin = CONTEXT, **more: Any
    ) -> dict[str, Written]:
        """The entries by path, in their order."""
        return written(self.plan(*sources, to=to, origin=origin, **more), into)


def read(data: Any) -> bytes:
    if hasattr(data, "open"):  # it is opened later
        with data.open() as file:
            return bytes(file.read())
    return bytes(data.read())


def written(plan: CopyPlan, into: IndexTree | None = None) -> dict[str, Written]:
    found: dict[str, Written] = {}
    for entry, data in plan.entries(into, TIME):
        assert entry.path not in found
        content = data if isinstance(data, bytes) or data is None else read(data)
        found[entry.path] = Written(entry.node, content)
    return found
