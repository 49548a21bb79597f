"""Where blobs have been pushed to or pulled from, so that the next push can mount instead of send.

One small file for each blob, ``origins/<hex>``: a line for each ``registry/repository``, the newest first. They are
hints: a registry that refuses to mount gets the bytes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dockyard.errors import DockyardError
from dockyard.oci.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import RepositoryName

MOST = 16
"""Places that are remembered for one blob."""
_LENGTH = 64 * 1024


class Origins:
    """The origins of one store's blobs."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "origins"

    def of(self, digest: Digest, registry: str) -> list[RepositoryName]:
        """Repositories of one registry that may have a blob, the newest first."""
        found: list[RepositoryName] = []
        for line in self._lines(digest):
            host, _, repository = line.partition("/")
            if host == registry:
                with suppress(DockyardError):
                    found.append(parse_repository(repository))
        return found

    def add(self, digests: Iterable[Digest], registry: str, repository: RepositoryName) -> None:
        """Note that a repository has blobs. What can't be written is not remembered."""
        new = f"{registry}/{repository}"
        for digest in digests:
            lines = self._lines(digest)
            if lines[:1] == [new]:
                continue
            text = "".join(f"{line}\n" for line in [new, *(line for line in lines if line != new)][:MOST])
            beside = self._folder / f".{os.urandom(8).hex()}"
            with suppress(OSError):
                try:
                    beside.write_text(text)
                    beside.replace(self._folder / digest.hex)
                finally:
                    beside.unlink(missing_ok=True)

    def _lines(self, digest: Digest) -> list[str]:
        try:
            with open(self._folder / digest.hex, "rb") as file:
                return file.read(_LENGTH).decode(errors="replace").splitlines()
        except OSError:
            return []
