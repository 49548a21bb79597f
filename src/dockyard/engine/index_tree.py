"""What is in a stage, by the lists of its layers alone: nothing is unpacked to find where a copy goes.

Source: OCI image specification, ``layer.md``, sections "Whiteouts" and "Opaque Whiteout".
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.engine.walking import joined, resolve
from dockyard.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

    from dockyard.content.layers import Entry

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_FOLDER = Node(Kind.FOLDER, 0o755, type=b"5")  # one that no layer tells of


class IndexTree:
    """Layers, the lowest first, as one :class:`~dockyard.content.trees.Tree`.

    ``texts`` are the files that can be read, by path: all that copying needs are ``etc/passwd`` and ``etc/group``.
    """

    def __init__(self, layers: Iterable[Iterable[Entry]] = (), texts: Mapping[str, bytes] | None = None) -> None:
        self._nodes: dict[str, Node] = {}
        self._names: dict[str, set[str]] = {"": set()}
        self._texts = texts or {}
        for layer in layers:
            self._apply(layer)

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``; ``None`` where nothing is."""
        node = self._nodes.get(path)
        if node is None:
            return _FOLDER if path in self._names else None
        return replace(node, kind=Kind.FILE, link="", type=b"0") if node.kind is Kind.HARDLINK else node

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        return sorted(self._names.get(path, ()))

    def open(self, path: str) -> BinaryIO:
        """One of the texts. NotFound."""
        if path in self._texts and path in self._nodes:
            return io.BytesIO(self._texts[path])
        raise NotFound(f"/{path}: not found")

    def real(self, path: str) -> str:
        """The path with every link in it followed inside the tree, also the last; parts that are not there stay."""

        def link_at(path: str) -> str | None:
            node = self._nodes.get(path)
            return node.link if node and node.kind is Kind.SYMLINK else None

        return resolve(link_at, path)

    def _apply(self, layer: Iterable[Entry]) -> None:
        added = []
        # Whiteouts only hide what lies below, wherever in the layer they stand.
        for entry in layer:
            parent, _, name = entry.path.rpartition("/")
            if name == _OPAQUE:
                for child in list(self._names.get(parent, ())):
                    self._remove(joined(parent, child))
            elif name.startswith(_WHITEOUT):
                self._remove(joined(parent, name.removeprefix(_WHITEOUT)))
            else:
                added.append(entry)
        for entry in added:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        path = entry.path
        if not path:
            return
        if entry.node.kind is not Kind.FOLDER and path in self._names:
            self._remove(path)
        self._nodes[path] = entry.node
        if entry.node.kind is Kind.FOLDER:
            self._names.setdefault(path, set())
        while path:
            parent, _, name = path.rpartition("/")
            names = self._names.setdefault(parent, set())
            if name in names:
                break
            names.add(name)
            path = parent

    def _remove(self, path: str) -> None:
        for child in self._names.pop(path, ()):
            self._remove(joined(path, child))
        self._nodes.pop(path, None)
        parent, _, name = path.rpartition("/")
        self._names.get(parent, set()).discard(name)
