"""A tree of files as one plain tar, for ``build --output type=tar``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.content.protocols import CHUNK
from dockyard.content.tar import BLOCK, Kind
from dockyard.content.tar_writer import END, header
from dockyard.content.trees import Node

if TYPE_CHECKING:
    from typing import BinaryIO

    from dockyard.engine.walking import WalkTree


def write_tree(tree: WalkTree, out: BinaryIO, *, prefix: str = "", last: bool = True) -> None:
    """Write every file of a tree, below a folder ``prefix`` where one is named; the tar ends with the ``last`` tree."""
    if prefix:
        out.write(header(prefix, Node(Kind.FOLDER, 0o755, type=b"5")))
    first: dict[tuple[int, int], str] = {}
    with tree.reader() as reader:
        for found in tree.walk(""):
            path = f"{prefix}/{found.path}" if prefix else found.path
            found.xattrs = reader.xattrs(found)
            node, key = found.node(), (found.status.st_dev, found.status.st_ino)
            if found.is_file and found.status.st_nlink > 1 and first.setdefault(key, path) != path:
                node = Node(Kind.HARDLINK, node.mode, node.uid, node.gid, node.mtime, link=first[key], type=b"1")
            out.write(header(path, node))
            if node.kind is Kind.FILE:
                with reader.open(found) as file:
                    while piece := file.read(CHUNK):
                        out.write(piece)
                out.write(bytes(-node.size % BLOCK))
    if last:
        out.write(END)
