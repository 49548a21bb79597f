"""Unfinished uploads, remembered so that this process or a later one goes on where the bytes stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dockyard.oci.digest import Digest

WORTH_KEEPING = 4 * 1024 * 1024
"""Bytes of a blob from which its upload is kept on disk: a smaller one is sent again sooner than asked about."""


@dataclass(frozen=True, slots=True)
class UploadSession:
    """Where the registry takes the rest of one blob. ``location`` is secret: who knows it can write there."""

    location: str = field(repr=False)


class UploadSessions:
    """The open uploads of one or many registries, in memory and, with a ``folder``, as small files there.

    The files are read back only where this process has no word of its own. One that can't be read, and one whose
    upload the registry has forgotten, cost an upload from the start, nothing else.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._open: dict[str, UploadSession] = {}

    def get(self, registry: str, repository: str, digest: Digest) -> UploadSession | None:
        """Return the open upload of a blob, if one is known."""
        key = _key(registry, repository, digest)
        if key in self._open or not self.folder:
            return self._open.get(key)
        try:
            fields = json.loads((self.folder / f"{key}.json").read_bytes())
            location = fields["location"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return UploadSession(location) if isinstance(location, str) else None

    def put(self, registry: str, repository: str, digest: Digest, session: UploadSession, *, size: int) -> None:
        """Remember an open upload of a blob of ``size`` bytes."""
        key = _key(registry, repository, digest)
        self._open[key] = session
        if not self.folder or size < WORTH_KEEPING:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not synced: after a power cut an upload from the start is all that is lost.
        handle, beside = tempfile.mkstemp(prefix=".", dir=self.folder)
        try:
            with open(handle, "w") as file:
                json.dump(asdict(session), file)
            os.replace(beside, self.folder / f"{key}.json")
        except BaseException:
            os.unlink(beside)
            raise

    def forget(self, registry: str, repository: str, digest: Digest) -> None:
        """Drop what is known of a blob's upload."""
        key = _key(registry, repository, digest)
        self._open.pop(key, None)
        if self.folder:
            with contextlib.suppress(OSError):
                os.unlink(self.folder / f"{key}.json")


def _key(registry: str, repository: str, digest: Digest) -> str:
    return hashlib.sha256(f"{registry}\n{repository}\n{digest}".encode()).hexdigest()
