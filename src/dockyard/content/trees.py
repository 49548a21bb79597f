"""Trees of files to read from, wherever they are: what copying needs, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dockyard.content.tar import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Node:
    """One file, folder, link or device, as a tar header tells it. Times are nanoseconds since 1970."""

    kind: Kind
    mode: int  # permission bits with setuid, setgid and sticky
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    link: str = ""  # of a symlink its text; of a hardlink the path it is one with
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    type: bytes = b"0"  # the tar type flag, which tells devices and pipes apart


class Tree(Protocol):
    """A tree of files that can't be left: ``..`` and links stay inside. Paths are relative, ``""`` is the top."""

    def lstat(self, path: str) -> Node | None:
        """What is at ``path``, whose last part is not followed where it is a link; ``None`` where nothing is."""
        ...

    def list(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading; its last part is not followed."""
        ...

    def real(self, path: str) -> str:
        """The path with every link in it followed, inside the tree, also the last; parts that are not there stay."""
        ...
