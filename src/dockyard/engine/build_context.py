"""A build's context and its Dockerfile, from wherever they are: a folder, an archive, standard input, git, the web.

``.dockerignore`` decides which files COPY sees; the Dockerfile and ``.dockerignore`` are read all the same.

Source: docker's documentation, "Build context"; ``docker build --help``.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dockyard.content.decompress import decompressed
from dockyard.dockerfile.ignore import IgnoreRules
from dockyard.engine.added_archives import is_archive, spool
from dockyard.engine.archive_tree import ArchiveTree
from dockyard.engine.fetching import Fetcher
from dockyard.engine.folder_tree import FolderTree
from dockyard.engine.git import is_git
from dockyard.engine.selected_tree import SelectedTree
from dockyard.engine.walking import joined, normal
from dockyard.errors import BuildFailed, Invalid, NotFound

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO, Self

    from dockyard.engine.build_events import BuildRequest
    from dockyard.engine.vertices import Vertices
    from dockyard.engine.walking import WalkTree

MOST_TEXT = 4 * 1024 * 1024
"""Bytes of a Dockerfile or a .dockerignore."""
_IGNORE = ".dockerignore"
_SHORT = re.compile(r"github\.com/[^/]+/[^/]+")


@dataclass
class BuildContext:
    """What a build sees. ``tree`` has only what ``.dockerignore`` leaves; use it in a ``with``.

    ``place`` is the folder that the tree is, for mounting; ``None`` where it is an archive. ``rules`` say what of it
    is left out.
    """

    tree: WalkTree
    dockerfile: str
    dockerfile_name: str
    place: Path | None = None
    rules: IgnoreRules = field(default_factory=IgnoreRules)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A context before ``.dockerignore``: ``inside`` is the folder of it that is the context."""

    tree: WalkTree
    place: Path | None = None
    alone: str | None = None  # the Dockerfile, where there is nothing else


def open_context(
    request: BuildRequest,
    vertices: Vertices,
    stdin: BinaryIO | None,
    work: Path,
    *,
    fetcher: Fetcher | None = None,
) -> BuildContext:
    """Open what a build was asked for, and read its Dockerfile. For a thread.

    Files that are written meanwhile are in ``work``, and gone when the context is left. BuildFailed, in docker's
    words where people know them; ArchiveInvalid, Unavailable.
    """
    where, dockerfile = request.context, request.dockerfile
    if where == "-" and dockerfile == "-":
        raise BuildFailed("invalid argument: can't use stdin for both build context and dockerfile")
    with ExitStack() as stack:
        if is_remote_context(where) or where == "-":
            with vertices.vertex(f"[internal] load remote build context {_shown(where)}".rstrip()):
                opened = _remote(where, stdin, work, fetcher, stack)
        else:
            opened = _folder(where)
        name = "Dockerfile" if dockerfile in ("", "-") else Path(dockerfile).name
        with vertices.vertex(f"[internal] load build definition from {name}") as vertex:
            text, shown, ignore = _definition(opened, where, dockerfile, stdin)
            vertex.status(f"transferring dockerfile: {len(text.encode())}B")
        with vertices.vertex("[internal] load .dockerignore") as vertex:
            ignore = ignore or _text(opened.tree, _IGNORE) or ""
            vertex.status(f"transferring context: {len(ignore.encode())}B")
            rules = IgnoreRules.parse(ignore)
        tree = SelectedTree(opened.tree, rules) if rules.rules else opened.tree
        return BuildContext(tree, text, shown, opened.place, rules, stack.pop_all())
    raise AssertionError("unreachable")


def open_tree(where: str, work: Path, stack: ExitStack, *, fetcher: Fetcher | None = None) -> WalkTree:
    """Open what ``--build-context NAME=where`` names: a folder, a git repository, or an archive from the web.

    Its files are gone once ``stack`` is closed. For a thread. BuildFailed, Unavailable.
    """
    if is_remote_context(where):
        return _remote(where, None, work, fetcher, stack).tree
    tree = _folder(where).tree
    ignore = _text(tree, _IGNORE)
    return SelectedTree(tree, IgnoreRules.parse(ignore)) if ignore else tree


def is_remote_context(where: str) -> bool:
    """Whether a context is somewhere else: a git repository, or a URL."""
    return is_git(where) or where.startswith(("http://", "https://")) or bool(_SHORT.match(where))


def _remote(where: str, stdin: BinaryIO | None, work: Path, fetcher: Fetcher | None, stack: ExitStack) -> _Opened:
    if where == "-":
        if stdin is None:
            raise BuildFailed("there is no standard input to read the context from")
        return _stream(stdin, work, stack, "standard input")
    import asyncio

    fetcher = fetcher or Fetcher(work.parent / "fetched")
    if is_git(where) or _SHORT.match(where):
        return _git(where, fetcher)
    fetched = asyncio.run(fetcher.file(where))
    with fetched.open() as file:
        return _stream(file, work, stack, _shown(where))


def _shown(where: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(where)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else ""


def _folder(where: str) -> _Opened:
    path = Path(where)
    if not path.exists():
        raise BuildFailed(f"unable to prepare context: path {where!r} not found")
    if not path.is_dir():
        raise BuildFailed(
            f"unable to prepare context: context must be a directory: {where}",
            hint="The context is the folder that COPY takes files from; -f names the Dockerfile.",
        )
    return _Opened(FolderTree(path), Path(os.path.realpath(path)))


def _git(where: str, fetcher: Fetcher) -> _Opened:
    fetched = fetcher.tree(f"https://{where}" if _SHORT.match(where) else where)
    tree = fetched.tree
    folder = tree.real(normal(fetched.folder))
    if (found := tree.look(folder)) is None or not found.is_folder:
        raise BuildFailed(f"{where}: subdir not found or not a directory: {fetched.folder}")
    place = Path(joined(tree.root, folder) if folder else tree.root)
    return _Opened(FolderTree(place, mtime=tree.mtime), place)


def _stream(source: BinaryIO, work: Path, stack: ExitStack, what: str) -> _Opened:
    """A tar, compressed or not, or else a Dockerfile with nothing around it."""
    raw = _unnamed(work, stack)
    if spool(source, raw, work) == 0:
        raise BuildFailed(f"the build context from {what} is empty")
    if not is_archive(raw):
        return _Opened(_nothing(work, stack), alone=_decoded(raw.read(MOST_TEXT + 1), what))
    plain = _unnamed(work, stack)
    spool(decompressed(raw, what=what), plain, work)
    raw.close()
    return _Opened(ArchiveTree(plain, what=what))


def _unnamed(work: Path, stack: ExitStack) -> BinaryIO:
    return cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile(dir=work)))


def _nothing(work: Path, stack: ExitStack) -> FolderTree:
    return FolderTree(stack.enter_context(tempfile.TemporaryDirectory(dir=work)))


def _definition(opened: _Opened, where: str, name: str, stdin: BinaryIO | None) -> tuple[str, str, str]:
    """The Dockerfile's text, its name, and the text of the ignore file beside it."""
    if name == "-":
        if stdin is None:
            raise BuildFailed("there is no standard input to read the Dockerfile from")
        return _decoded(stdin.read(MOST_TEXT + 1), "standard input"), "Dockerfile", ""
    if opened.alone is not None:
        return opened.alone, "Dockerfile", ""
    text, ignore = _dockerfile(opened, where, name or "Dockerfile")
    return text, Path(name).name or "Dockerfile", ignore


def _dockerfile(opened: _Opened, where: str, name: str) -> tuple[str, str]:
    """The Dockerfile's text, and that of the ignore file beside it."""
    inside = _inside(opened, where, name)
    if inside is not None:
        text = _text(opened.tree, inside)
        ignore = _text(opened.tree, f"{inside}{_IGNORE}")
        if text is None and name == "Dockerfile":
            text = _text(opened.tree, "dockerfile")
    else:
        text, ignore = _outside(Path(name)), _outside(Path(f"{name}{_IGNORE}"))
    if text is None:
        raise BuildFailed(
            f"failed to read dockerfile: open {Path(name).name if opened.place else name}: no such file or directory",
            hint=None if name != "Dockerfile" else "-f names a Dockerfile that is called otherwise or lies elsewhere.",
        )
    return text, ignore or ""


def _inside(opened: _Opened, where: str, name: str) -> str | None:
    """The Dockerfile's path in the context; ``None`` where it is elsewhere on this machine.

    For a context that is a folder here, ``-f`` is a path from where we are; for any other one from its top.
    """
    if opened.place is None or is_git(where) or _SHORT.match(where):
        return normal(name)
    if name == "Dockerfile":
        return name
    folder = os.path.realpath(os.path.dirname(name) or ".")
    root = str(opened.place)
    if folder == root or folder.startswith(f"{root.rstrip('/')}/"):
        return normal(os.path.relpath(os.path.join(folder, os.path.basename(name)), root))
    if not os.path.lexists(name) and opened.tree.lstat(opened.tree.real(normal(name))):
        return normal(name)  # docker takes it from the context where it is not here
    return None


def _text(tree: WalkTree, path: str) -> str | None:
    """The text of a file in the context, links followed inside of it; ``None`` where there is none."""
    try:
        with tree.open(tree.real(path)) as file:
            return _decoded(_read(file), path)
    except NotFound:
        return None


def _outside(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            return _decoded(_read(file), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BuildFailed(f"failed to read dockerfile: open {path}: {(error.strerror or '').lower()}") from None


def _read(file: BinaryIO) -> bytes:
    raw = b""
    while len(raw) <= MOST_TEXT and (piece := file.read(MOST_TEXT + 1 - len(raw))):
        raw += piece
    return raw


def _decoded(raw: bytes, what: str) -> str:
    if len(raw) > MOST_TEXT:
        raise Invalid(f"{what} has more than {MOST_TEXT} bytes")
    return raw.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
