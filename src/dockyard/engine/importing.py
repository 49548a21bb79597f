"""An image made from the tar of a file system: one layer, compressed as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dockyard.content.compress import Plain
from dockyard.content.frames import Frames
from dockyard.content.protocols import CHUNK
from dockyard.content.tar import Kind, climbs_out, members
from dockyard.engine.changes import apply_changes
from dockyard.engine.times import text
from dockyard.errors import ArchiveInvalid
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import make_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from dockyard.engine.images import Images
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference


def import_image(
    images: Images,
    source: BinaryIO,
    reference: Reference | None,
    *,
    changes: Sequence[str],
    message: str,
    platform: Platform,
    now: float,
) -> Digest:
    """Read ``source`` to its end, name the image that it makes, and return its ID."""
    config = apply_changes(changes, system=platform.os)
    with images.session() as store:
        store.make()
        layer, diff_id = _layer(store, source)
        created = text(now)
        fields: dict[str, Any] = {
            "created": created,
            **{key: value for key, value in platform.fields().items() if value},
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]},
            "history": [{"created": created, "comment": message or "Imported from -"}],
        }
        raw = strict_json.dump(fields)
        image = Digest.of(raw)
        manifest = make_image(Descriptor(media_types.OCI_CONFIG, image, len(raw)), [layer])
        store.hold(image)
        store.files.put(raw, image)
        store.keep(manifest)
        store.name(manifest.descriptor, [reference] if reference else [])
    return image


def _layer(store: Images, source: BinaryIO) -> tuple[Descriptor, Digest]:
    """Keep a tar as a gzip layer; return that, and the digest of the plain bytes."""
    with store.files.create() as blob, Frames(blob.write) as gzip:
        tar = _Passing(Plain(source), gzip)
        for member in members(cast("BinaryIO", tar)):
            if climbs_out(member.name) or (member.kind is Kind.HARDLINK and climbs_out(member.link)):
                raise ArchiveInvalid(f"the archive has a member that climbs out of it: {member.name[:200]!r}")
        tar.finish()
        gzip.finish()
        digest = blob.digest
        store.hold(digest)
        blob.commit()
        return Descriptor(media_types.OCI_LAYER_GZIP, digest, blob.size), gzip.diff_id


class _Passing:
    """A file whose bytes go into a layer as they are read."""

    def __init__(self, plain: Plain, gzip: Frames) -> None:
        self._plain, self._gzip = plain, gzip
        self._piece, self._at = b"", 0

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes."""
        if self._at == len(self._piece):
            self._next()
        start, self._at = self._at, min(self._at + size, len(self._piece))
        return self._piece[start : self._at]

    def finish(self) -> None:
        """Take what follows the end of the archive too: it is part of the layer's bytes."""
        while self._next():
            pass

    def _next(self) -> bool:
        self._piece, self._at = self._plain.read(CHUNK), 0
        self._gzip.write(self._piece)
        return bool(self._piece)
