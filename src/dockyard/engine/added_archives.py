"""Archives that ADD unpacks: found by their content, and read as trees."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from dockyard.content.decompress import decompressed
from dockyard.content.folders import storage_errors
from dockyard.content.protocols import CHUNK
from dockyard.content.tar import TarReader
from dockyard.engine.archive_tree import ArchiveTree
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


@contextmanager
def open_archive(file: BinaryIO, work: Path, what: str) -> Iterator[ArchiveTree | None]:
    """A file as a tree if it is a tar, plain or compressed; ``None`` where it is not. The file is closed at the end.

    What is compressed is written into a file without a name in ``work``. ArchiveInvalid where it begins as a tar and
    does not go on as one; Full, Unavailable.
    """
    with file, tempfile.TemporaryFile(dir=work) as plain:
        if not file.seekable() or not _has_descriptor(file):
            spool(file, plain, work)
            file = cast("BinaryIO", plain)
        if not is_archive(file):
            yield None
        elif not is_compressed(file):
            yield ArchiveTree(file, what=what)
        else:
            with tempfile.TemporaryFile(dir=work) as whole:
                spool(decompressed(file, what=what), cast("BinaryIO", whole), work)
                yield ArchiveTree(cast("BinaryIO", whole), what=what)


def is_archive(file: BinaryIO) -> bool:
    """Whether a seekable file begins as a tar with something in it, once what compresses it is taken off."""
    try:
        return TarReader(cast("BinaryIO", decompressed(file))).next() is not None
    except ArchiveInvalid:
        return False
    finally:
        file.seek(0)


def is_compressed(file: BinaryIO) -> bool:
    """Whether a seekable file is compressed in a way that ADD knows."""
    from dockyard.content.compress import HEAD, compression

    head = file.read(HEAD)
    file.seek(0)
    return bool(compression(head))


def spool(source: object, target: BinaryIO, work: Path, *, limit: int | None = None) -> int:
    """Write all that can be read from ``source`` and return how many bytes that were. ArchiveInvalid over ``limit``."""
    read = source.read  # type: ignore[attr-defined]
    size = 0
    while piece := read(CHUNK):
        size += len(piece)
        if limit is not None and size > limit:
            raise ArchiveInvalid(f"there are more than {limit} bytes")
        with storage_errors(work):
            target.write(piece)
    with storage_errors(work):
        target.flush()
    target.seek(0)
    return size


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        os.fstat(file.fileno())
    except OSError:
        return False
    return True
