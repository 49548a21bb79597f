"""Local drafts of manifest lists: what ``manifest create`` began and ``manifest push`` has not sent yet.

::

    <root>/manifest-lists/<sha256 of the list's full name>.json
        {"name": "hub.example.com/team/app:1",
         "manifests": [{"reference": "hub.example.com/team/app:1-arm64", "descriptor": {…}}]}
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockyard.errors import Invalid, ManifestInvalid, ManifestUnknown
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.manifest import Manifest, make_index
from dockyard.oci.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest list in the making: where each image came from, and what the list says about it."""

    name: Reference
    entries: tuple[tuple[Reference, Descriptor], ...]

    def find(self, image: Reference) -> Descriptor:
        """What the list says about one image; raise ManifestUnknown where it does not have it."""
        for reference, descriptor in self.entries:
            if reference == image:
                return descriptor
        raise ManifestUnknown(f"manifest for image {image} does not exist in {self.name}")

    def with_entry(self, image: Reference, descriptor: Descriptor) -> Draft:
        """The same list, with one image added or what it says about that image changed."""
        known = dict(self.entries)
        known[image] = descriptor
        return Draft(self.name, tuple(known.items()))

    def index(self) -> Manifest:
        """The list as it will be pushed: docker's kind, unless every image in it is OCI's."""
        descriptors = [descriptor for _, descriptor in self.entries]
        is_oci = all(descriptor.media_type == media_types.OCI_MANIFEST for descriptor in descriptors)
        return make_index(descriptors, media_type=media_types.OCI_INDEX if is_oci else media_types.DOCKER_INDEX)


class Drafts:
    """All drafts under one root; safe between processes."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "manifest-lists"

    def load(self, name: Reference) -> Draft | None:
        """Return a draft, or ``None``; raise Invalid for a broken file."""
        path = self._path(name)
        try:
            fields = json.loads(path.read_bytes())
            entries = tuple(
                (parse_reference(entry["reference"]), _descriptor(entry["descriptor"])) for entry in fields["manifests"]
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, Invalid):
            raise ManifestInvalid(f"{path} is broken", hint=f"Remove it, and create {name} again.") from None
        return Draft(name, entries)

    def remove(self, name: Reference) -> bool:
        """Drop a draft; return whether there was one."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def save(self, draft: Draft) -> None:
        """Write a draft, whole or not at all."""
        manifests = [{"reference": str(image), "descriptor": found.fields()} for image, found in draft.entries]
        fields: dict[str, Any] = {"name": str(draft.name), "manifests": manifests}
        path = self._path(draft.name)
        handle, beside = tempfile.mkstemp(prefix=".draft.", dir=self.folder)
        try:
            with open(handle, "w") as file:
                json.dump(fields, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off other processes between a load and a save."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: Reference) -> Path:
        return self.folder / f"{hashlib.sha256(str(name).encode()).hexdigest()}.json"


def _descriptor(fields: dict[str, Any]) -> Descriptor:
    """Read a descriptor back; its platform as it was written, which may say ``arm64/v8`` and not just ``arm64``."""
    found, stated = Descriptor.parse(fields), fields.get("platform")
    if found.platform is None or not isinstance(stated, dict):
        return found
    system, architecture, variant = (str(stated.get(key, "")) for key in ("os", "architecture", "variant"))
    return replace(found, platform=replace(found.platform, os=system, architecture=architecture, variant=variant))
