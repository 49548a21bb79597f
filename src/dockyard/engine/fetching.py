"""What ADD takes from elsewhere: files of web servers and git repositories, kept for the next build.

::

    FOLDER/<hex of the URL>.json     what a server said of a file, and the SHA-256 of its content
    FOLDER/<hex of the content>      the content
    FOLDER/commit-<hex>-<seconds>/   a repository's files at a commit, and that commit's time

A file is asked for again in every build, with its ETag: only one that changed is sent again. One whose ``--checksum``
is given and that is here is not asked for. What was not used for a while goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from dockyard.content.folders import make_folder, storage_errors
from dockyard.engine.folder_tree import FolderTree
from dockyard.engine.git import Git, is_git, parse_git
from dockyard.engine.host import remove_tree
from dockyard.engine.walking import SECOND
from dockyard.errors import BuildFailed, DigestInvalid, Invalid
from dockyard.oci.digest import Digest, Hasher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.engine.git import GitSource

    Progress = Callable[[int, int], None]

MOST_BYTES = 64 * 1024**3
"""Bytes of one file from a web server."""
MOST_DAYS = 14
"""Days that a file is kept without being used, and what a build left that was killed."""
UNNAMED = "__unnamed__"
"""The name that BuildKit gives to a file whose URL has none."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file from a web server: ``name`` is from its URL, ``mtime`` in seconds."""

    name: str
    path: Path
    size: int
    mtime: int
    digest: Digest

    def open(self) -> BinaryIO:
        """Its content, for reading."""
        with storage_errors(self.path):
            return cast("BinaryIO", open(self.path, "rb", buffering=0))


@dataclass(frozen=True, slots=True)
class FetchedTree:
    """A git repository's files at ``commit``; ``folder`` is what is taken of them."""

    tree: FolderTree
    folder: str
    commit: str


def is_remote(source: str) -> bool:
    """Whether ADD fetches a source: a URL or a git repository."""
    return source.startswith(("http://", "https://")) or is_git(source)


def file_name(url: str) -> str:
    """What a file from a URL is called: the last part of its path."""
    name = unquote(urlsplit(url).path.rpartition("/")[2], errors="surrogateescape")
    return name if name not in ("", ".", "..") and "/" not in name and "\0" not in name else UNNAMED


class Fetcher:
    """Fetches into ``folder``. ``protocols`` are what git may speak."""

    def __init__(self, folder: Path, *, ca_file: str | None = None, protocols: str | None = None) -> None:
        self._folder, self._ca_file, self._protocols = folder, ca_file, protocols

    async def file(self, url: str, *, checksum: str = "", progress: Progress = lambda *_: None) -> FetchedFile:
        """A file of a web server. DigestInvalid where it is not what ``checksum`` says; Unavailable, NotFound."""
        from dockyard.content.download import download, redacted

        wanted = Digest.parse(checksum) if checksum else None
        with storage_errors(self._folder):
            make_folder(self._folder)
        record = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.json"
        before = _known(record, self._folder, file_name(url))
        if before and wanted and wanted == _digest(before[0], wanted.algorithm):
            return replace(before[0], digest=wanted)
        beside = self._folder / f".new-{os.urandom(8).hex()}"
        hasher, other = hashlib.sha256(), Hasher(wanted.algorithm) if wanted else None
        try:
            with open(beside, "xb", buffering=0) as file:

                def sink(piece: bytes) -> None:
                    with storage_errors(self._folder):
                        file.write(piece)
                    hasher.update(piece)
                    if other:
                        other.update(piece)

                answer = await download(
                    url, sink, etag=before[1] if before else "", limit=MOST_BYTES, ca_file=self._ca_file,
                    progress=progress,
                )  # fmt: skip
            if answer.unchanged and before:
                found = before[0]
                if wanted and _digest(found, wanted.algorithm) != wanted:
                    raise _mismatch(redacted(url), wanted, _digest(found, wanted.algorithm))
            else:
                if wanted and other and other.digest() != wanted:
                    raise _mismatch(redacted(url), wanted, other.digest())
                name = hasher.hexdigest()
                with storage_errors(self._folder):
                    beside.rename(self._folder / name)
                found = FetchedFile(
                    file_name(url), self._folder / name, answer.size, answer.modified, Digest("sha256", name)
                )
                _forget(self._folder)
                _keep(record, {"etag": answer.etag, "modified": answer.modified, "sha256": name, "size": answer.size})
        finally:
            beside.unlink(missing_ok=True)
        return found

    def tree(self, text: str, *, keep_git_dir: bool = False) -> FetchedTree:
        """A git repository. For a thread. BuildFailed, Unavailable where there is no git, Invalid."""
        source = parse_git(text)
        with storage_errors(self._folder):
            make_folder(self._folder)
        git = Git(self._folder, protocols=self._protocols) if self._protocols else Git(self._folder)
        commit = git.commit(source)
        _forget(self._folder)
        name = hashlib.sha256(f"{source.remote}\0{commit}\0{keep_git_dir}".encode()).hexdigest()
        for found in self._folder.glob(f"commit-{name}-*"):
            os.utime(found)
            return self._tree(found, source, commit)
        folder, seconds = git.checkout(source, commit, keep_git_dir=keep_git_dir)
        kept = self._folder / f"commit-{name}-{seconds}"
        with storage_errors(self._folder):
            os.utime(folder)
            try:
                folder.rename(kept)
            except OSError:
                if not kept.is_dir():
                    raise
                remove_tree(folder)  # somebody else was quicker
        return self._tree(kept, source, commit)

    def _tree(self, folder: Path, source: GitSource, commit: str) -> FetchedTree:
        seconds = int(folder.name.rpartition("-")[2])
        return FetchedTree(FolderTree(folder, mtime=seconds * SECOND), source.folder, commit)


def _known(record: Path, folder: Path, name: str) -> tuple[FetchedFile, str] | None:
    """What is here from an earlier build, with its ETag."""
    with suppress(OSError, ValueError, KeyError, TypeError, Invalid):
        fields: dict[str, Any] = json.loads(record.read_bytes())
        digest = Digest.parse(f"sha256:{fields['sha256']}")
        path = folder / digest.hex
        if path.stat().st_size == int(fields["size"]):
            found = FetchedFile(name, path, int(fields["size"]), int(fields["modified"]), digest)
            if _digest(found, "sha256") == digest:  # disks fail
                os.utime(path)
                return found, str(fields["etag"])
    return None


def _keep(record: Path, fields: dict[str, object]) -> None:
    beside = record.with_name(f".{record.name}.{os.getpid()}.{time.monotonic_ns()}")
    with storage_errors(record.parent):
        beside.write_text(json.dumps(fields))
        beside.rename(record)


def _forget(folder: Path) -> None:
    """Remove what was not used for :data:`MOST_DAYS`."""
    limit = time.time() - MOST_DAYS * 86400
    for path in list(folder.iterdir()):
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < limit:
                remove_tree(path) if path.is_dir() else path.unlink()


def _digest(file: FetchedFile, algorithm: str) -> Digest:
    """The digest of the content as it is on disk now."""
    hasher = Hasher(algorithm)
    with file.open() as content:
        while piece := content.read(1 << 20):
            hasher.update(piece)
    return hasher.digest()


def _mismatch(url: str, wanted: Digest, found: Digest) -> DigestInvalid:
    return DigestInvalid(
        f"{url}: digest mismatch {found}: {wanted}", hint="The file changed, or --checksum is not its checksum."
    )


def refuse_remote(action_is_add: bool, source: str) -> None:
    """Raise BuildFailed where COPY is given what only ADD can fetch."""
    if not action_is_add and is_remote(source):
        what = "git ref" if is_git(source) else "URL"
        raise BuildFailed(f"source can't be a {what} for COPY", hint="ADD takes it.")
