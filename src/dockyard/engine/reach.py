"""What names lead to, and the deleting of content that nothing leads to any more."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dockyard.content.layout import below
from dockyard.engine.cache import BuildCache
from dockyard.engine.leases import live
from dockyard.engine.naming import index_of
from dockyard.errors import DigestInvalid, DockyardError
from dockyard.oci.digest import HEX_LENGTH, Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor


class Reach:
    """Everything that entries need, remembered by digest: learn outside of the store's lock, ask under it."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._known: dict[Digest, frozenset[Digest]] = {}

    def of(self, entries: Iterable[Descriptor]) -> set[Digest]:
        """The digests that the entries lead to: themselves, what is below, and the indexes they were picked from."""
        found: set[Digest] = set()
        for entry in entries:
            if entry.digest not in self._known:
                self._known[entry.digest] = self._below(entry)
            found |= self._known[entry.digest]
            if index := index_of(entry):
                found.add(index)
        return found

    def _below(self, entry: Descriptor) -> frozenset[Digest]:
        try:
            manifest = self._images.read(entry.digest, entry.media_type)
        except DockyardError:
            return frozenset({entry.digest})  # damaged, or another tool's: nothing can be read from it
        return frozenset({entry.digest, *(content.digest for content in below(self._images.files, manifest))})


def set_aside(images: Images, candidates: Iterable[Digest], keep: set[Digest]) -> dict[Digest, int]:
    """Take those candidates out of the store that nothing needs; return their sizes.

    What is in ``keep``, in a live lease or in a record of the build cache stays.

    Only under the store's lock, with what is left of the names on disk. The files wait in ``ingest`` for
    :func:`delete`: freeing gigabytes takes longer than the lock may be held.
    """
    safe = keep | live(images.root / "leases") | BuildCache(images.root).digests()
    gone: dict[Digest, int] = {}
    for digest in candidates:
        if digest not in safe and (size := images.files.size(digest)) is not None:
            with suppress(FileNotFoundError):
                images.files.path(digest).rename(_aside(images, digest))
                gone[digest] = size
            with suppress(FileNotFoundError):
                (images.root / "origins" / digest.hex).unlink()
    return gone


def delete(images: Images, digests: Iterable[Digest]) -> None:
    """Delete what was set aside."""
    for digest in digests:
        _aside(images, digest).unlink(missing_ok=True)


def let_go(images: Images, digests: set[Digest]) -> None:
    """Delete those of the digests that nothing needs: what was only written to be sent or packed."""
    reach = Reach(images)
    reach.of(images.entries.read())
    with images.locked():
        deleted = set_aside(images, digests, reach.of(images.entries.read()))
    delete(images, deleted)


def _aside(images: Images, digest: Digest) -> Path:
    return images.files.ingest / f"gone-{digest.algorithm}-{digest.hex}"


def stored(images: Images) -> Iterator[tuple[Digest, os.stat_result]]:
    """Every blob of the store, whoever needs it."""
    for algorithm in HEX_LENGTH:
        with suppress(FileNotFoundError), os.scandir(images.root / "blobs" / algorithm) as files:
            for file in files:
                with suppress(DigestInvalid, FileNotFoundError):
                    yield Digest.parse(f"{algorithm}:{file.name}"), file.stat(follow_symlinks=False)


def partials(images: Images) -> Iterator[tuple[str, os.stat_result]]:
    """Path and state of every blob that is on its way, or was when its writer ended."""
    with suppress(FileNotFoundError), os.scandir(images.files.ingest) as files:
        for file in files:
            with suppress(FileNotFoundError):
                yield file.path, file.stat(follow_symlinks=False)


def delete_partial(path: str) -> bool:
    """Delete the beginning of a blob unless somebody is writing it."""
    with suppress(FileNotFoundError, BlockingIOError, IsADirectoryError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
            return True
        finally:
            os.close(descriptor)
    return False
