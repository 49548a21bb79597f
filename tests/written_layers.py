"""Layers written for tests, and read back with programs that aren't ours."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockyard.content.files import BlobFiles
from dockyard.content.layers import Entry, Layer, LayerWriter
from dockyard.content.tar import Kind
from dockyard.content.trees import Node

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Written:
    """A layer, its file and its tar."""

    layer: Layer
    blob: Path
    plain: bytes

    def members(self) -> list[tarfile.TarInfo]:
        """As Python's tarfile reads them."""
        with tarfile.open(fileobj=io.BytesIO(self.plain)) as archive:
            return archive.getmembers()

    def blocks(self) -> list[bytes]:
        return [self.plain[at : at + 512] for at in range(0, len(self.plain), 512)]


def write(folder: Path, entries: Iterable[tuple[Entry, Any]], compression: Any = "gzip", **options: Any) -> Written:
    """Write a layer into a store at ``folder``. Content is bytes, or something to read from."""
    files = BlobFiles(folder)
    with files.create() as blob, LayerWriter(blob, compression, **options) as writer:
        for entry, data in entries:
            writer.add(entry, data)
        layer = writer.finish()
        blob.commit()
    path = files.path(layer.digest)
    raw = path.read_bytes()
    if compression == "gzip":
        return Written(layer, path, gzip.decompress(raw))
    return Written(layer, path, subprocess.run(["zstd", "-dc"], input=raw, stdout=subprocess.PIPE, check=True).stdout)


def file(path: str, content: bytes = b"", *, mode: int = 0o644, **more: Any) -> tuple[Entry, bytes]:
    return Entry(path, Node(Kind.FILE, mode, size=len(content), **more)), content


def folder(path: str, *, mode: int = 0o755, **more: Any) -> tuple[Entry, None]:
    return Entry(path, Node(Kind.FOLDER, mode, **more)), None


def symlink(path: str, link: str, **more: Any) -> tuple[Entry, None]:
    return Entry(path, Node(Kind.SYMLINK, 0o777, link=link, **more)), None


def hardlink(path: str, link: str, **more: Any) -> tuple[Entry, None]:
    return Entry(path, Node(Kind.HARDLINK, 0o644, link=link, **more)), None


def special(path: str, flag: bytes, device: tuple[int, int] = (0, 0), **more: Any) -> tuple[Entry, None]:
    return Entry(path, Node(Kind.SPECIAL, 0o600, device=device, type=flag, **more)), None
