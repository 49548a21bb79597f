"""One layer of an archive: checked against what names it, and compressed where it is a plain tar."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content.compress import Plain
from dockyard.content.folders import storage_errors
from dockyard.content.frames import Frames
from dockyard.content.protocols import CHUNK
from dockyard.content.tar_files import Place
from dockyard.errors import ArchiveInvalid
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest, Hasher

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from dockyard.content.tar_files import Window

_TYPES = {
    "": media_types.OCI_LAYER,
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
}


@dataclass(frozen=True, slots=True)
class ArchivedLayer:
    """A layer as it is given on: its descriptor, where its bytes are, and the file that holds them if it is new."""

    descriptor: Descriptor
    place: Place
    made: BinaryIO | None = None


def check_layer(
    place: Place, diff_id: Digest, stated: Descriptor | None, *, what: str, compress: bool, scratch: Path
) -> ArchivedLayer:
    """Read a layer to its end; with ``compress``, gzip it into a file in ``scratch`` where it is a plain tar.

    ArchiveInvalid unless it unpacks to ``diff_id`` and, where a descriptor ``stated`` so, is what that says.
    """
    raw = _Hashed(place, stated.digest.algorithm if stated else "sha256")
    plain = Plain(raw, what=what)  # type: ignore[arg-type]
    made: BinaryIO | None = None
    kept: ArchivedLayer | None = None
    if plain.compression or not compress:
        hasher = Hasher(diff_id.algorithm)
        while piece := plain.read(CHUNK):
            hasher.update(piece)
        found = hasher.digest()
    else:
        made, kept, found = _compress(plain, diff_id.algorithm, scratch)
    while raw.read(CHUNK):  # what follows the compressed data belongs to the bytes too
        pass
    if found != diff_id or (stated and raw.hasher.digest() != stated.digest):
        if made:
            made.close()
        if stated and raw.hasher.digest() != stated.digest:
            raise ArchiveInvalid(f"{what} is damaged: its content is {raw.hasher.digest()}")
        raise ArchiveInvalid(f"{what} is not what the image's config says: it unpacks to {found}, not {diff_id}")
    if kept:
        return kept
    media_type = stated.media_type if stated else _TYPES[plain.compression]
    return ArchivedLayer(stated or Descriptor(media_type, raw.hasher.digest(), place.size), place)


def _compress(plain: Plain, algorithm: str, scratch: Path) -> tuple[BinaryIO, ArchivedLayer, Digest]:
    with storage_errors(scratch):
        # Whoever reads the archive closes it.
        made: BinaryIO = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115
        try:
            out = Hasher()

            def take(piece: bytes) -> None:
                out.update(piece)
                made.write(piece)

            with Frames(take, algorithm=algorithm) as gzip:
                while piece := plain.read(CHUNK):
                    gzip.write(piece)
                gzip.finish()
            made.flush()
        except BaseException:
            made.close()
            raise
    size = made.tell()
    descriptor = Descriptor(media_types.OCI_LAYER_GZIP, out.digest(), size)
    return made, ArchivedLayer(descriptor, Place(made.fileno(), 0, size), made), gzip.diff_id


class _Hashed:
    """A file that hashes what is read from it."""

    def __init__(self, place: Place, algorithm: str) -> None:
        self._stream: Window = place.stream()
        self.hasher = Hasher(algorithm)

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size) or b""
        self.hasher.update(piece)
        return piece
