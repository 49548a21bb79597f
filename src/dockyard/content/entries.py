"""The ``index.json`` of an image layout: the one place where names are.

Source: OCI image specification, ``image-layout.md``, section "index.json file", and ``annotations.md``.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dockyard.content.folders import storage_errors, sync_folder
from dockyard.errors import ArchiveInvalid, ManifestInvalid
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
"""The full name of an image where ``REF_NAME`` is only its tag; containerd's, read by docker and podman."""

MAX_INDEX = 64 * 1024 * 1024
"""Bytes that ``index.json`` may have."""

_LAYOUT = {"imageLayoutVersion": "1.0.0"}


class Entries:
    """Who is called what in one layout: descriptors with the annotation ``REF_NAME``, in the order they came."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self) -> list[Descriptor]:
        """Return the entries; none where there is no ``index.json`` yet. ArchiveInvalid where it is broken."""
        return parse_entries(self._fields(), self.root)

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the layout's lock, for milliseconds: changes and deletions exclude each other and what is shared.

        The lock is on the folder itself, so it adds no file, and the kernel drops it when its holder dies.
        """
        with storage_errors(self.root):
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

    def write(self, entries: list[Descriptor]) -> None:
        """Replace the entries at once and durably. Only under the lock."""
        fields = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX} | self._fields()
        fields["manifests"] = [entry.fields() for entry in entries]
        if not (self.root / "oci-layout").exists():
            self._replace("oci-layout", strict_json.dump(_LAYOUT))
        self._replace("index.json", strict_json.dump(fields))

    def _fields(self) -> dict[str, Any]:
        try:
            with (self.root / "index.json").open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_INDEX:
                    raise ArchiveInvalid(f"{self.root}/index.json has more than {MAX_INDEX} bytes")
                raw = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return {"manifests": []}
        try:
            return strict_json.parse_object(raw, f"{self.root}/index.json", ArchiveInvalid)
        except ArchiveInvalid as error:
            hint = "The names of the images here are in it. Restore it; or move it away, and pull or load them again."
            raise ArchiveInvalid(error.message, hint=hint) from None

    def _replace(self, name: str, raw: bytes) -> None:
        # One name is enough: the lock lets one writer in, and what a killed one left is written over.
        beside = self.root / f".{name}.new"
        with beside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.root / name)
        sync_folder(self.root)


def parse_entries(fields: dict[str, Any], where: object) -> list[Descriptor]:
    """Read the ``manifests`` of an ``index.json``; raise ArchiveInvalid that says ``where`` what is wrong."""
    manifests = fields.get("manifests")
    if not isinstance(manifests, list):
        raise ArchiveInvalid(f"{where}: index.json has no list of manifests")
    try:
        return [Descriptor.parse(entry, f"index.json manifests[{number}]") for number, entry in enumerate(manifests)]
    except ManifestInvalid as error:
        raise ArchiveInvalid(f"{where}: {error.message}") from None


def name_of(entry: Descriptor) -> str:
    """The entry's name in its layout, ``""`` where it has none."""
    return entry.annotations.get(REF_NAME, "")


def annotated(entry: Descriptor, **annotations: str) -> Descriptor:
    """The entry with these annotations and no others; empty ones are left out."""
    return replace(entry, annotations={key: text for key, text in annotations.items() if text})
