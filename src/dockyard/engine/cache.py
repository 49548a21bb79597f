"""What earlier builds made: a record for each step that made files, by a key of all that went into it.

::

    STORE/build-cache/<key>     a JSON object: the layer, its diff ID, what made it; the file's time is its last use

A record is only ever written by a build of this store, or taken from a place that ``--cache-from`` names: nothing that
an image says of its own history is believed. Layers that records name stay in the store until the record goes.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockyard.content.folders import make_folder, storage_errors
from dockyard.engine.build_state import Layer
from dockyard.errors import DockyardError
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """What a step made: ``layer`` is ``None`` where it changed nothing. ``newest`` in seconds since 1970."""

    layer: Layer | None
    newest: float
    text: str
    kind: str = "step"  # "exec" of a RUN, "file" of copies and folders
    unpacked: int = 0  # bytes of the plain layer
    chain: str = ""  # the chain ID of the layers with this one, whose unpacked files are kept for the next step

    def fields(self) -> dict[str, Any]:
        """The record as a JSON object."""
        layer = self.layer
        return {
            "layer": layer.descriptor.fields() if layer else None,
            "diff_id": str(layer.diff_id) if layer else "",
            "newest": self.newest,
            "text": self.text,
            "kind": self.kind,
            "unpacked": self.unpacked,
            "chain": self.chain,
        }

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Record:
        """Read a record; raises ValueError, TypeError, KeyError or ours where it is none."""
        layer = None
        if fields["layer"] is not None:
            layer = Layer(Descriptor.parse(fields["layer"]), Digest.parse(str(fields["diff_id"])))
        text, kind, chain = str(fields["text"]), str(fields["kind"]), str(fields["chain"])
        return cls(layer, float(fields["newest"]), text, kind, int(fields["unpacked"]), chain)


@dataclass(frozen=True, slots=True)
class CacheRow:
    """One record as ``builder du`` lists it; times in seconds since 1970, ``size`` in bytes as stored."""

    id: str
    kind: str
    size: int
    created: float
    last_used: float
    description: str
    shared: bool  # an image has the layer too
    in_use: bool = False


class BuildCache:
    """The records of one store. Losing one costs time, never an image."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "build-cache"

    def get(self, key: str) -> Record | None:
        """The record of a key, which counts as used now; ``None`` where there is none that can be read."""
        path = self.folder / _checked(key)
        found = _read(path)
        if found:
            with suppress(OSError):
                os.utime(path)
        return found

    def put(self, key: str, record: Record) -> None:
        """Remember what a step made. Full, Unavailable."""
        path = self.folder / _checked(key)
        beside = self.folder / f".{key[:16]}.{os.urandom(8).hex()}"
        with storage_errors(self.folder):
            make_folder(self.folder)
            try:
                # Not synced: an empty or absent record after a power cut is one to make anew.
                beside.write_text(json.dumps(record.fields() | {"made": time.time()}))
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Remove a record."""
        (self.folder / _checked(key)).unlink(missing_ok=True)

    def records(self) -> Iterator[tuple[str, Record, float, float]]:
        """Every key with its record, when it was made, and when it was last used."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as files:
            for file in files:
                if not _KEY.fullmatch(file.name):
                    continue
                with suppress(FileNotFoundError):
                    used = file.stat(follow_symlinks=False).st_mtime
                    if found := _read_dated(self.folder / file.name):
                        record, made = found
                        yield file.name, record, used if made is None else made, used

    def digests(self) -> set[Digest]:
        """The layers that records need: what no removal may take."""
        return {record.layer.descriptor.digest for _, record, _, _ in self.records() if record.layer}

    def rows(self, size_of: Callable[[Digest], int | None], shared: set[Digest]) -> list[CacheRow]:
        """The records as a listing, the one used last first. A layer that several have counts for one of them."""
        rows = []
        counted: set[Digest | None] = set()
        for key, record, made, used in self.records():
            digest = record.layer.descriptor.digest if record.layer else None
            size = size_of(digest) or 0 if digest and digest not in counted else 0
            counted.add(digest)
            rows.append(CacheRow(key, record.kind, size, made, used, record.text, digest in shared))
        return sorted(rows, key=lambda row: (-row.last_used, row.id))


def oldest_over(rows: list[CacheRow], keep_bytes: int) -> list[CacheRow]:
    """The records to give up, the longest unused first, so that the rest take at most ``keep_bytes``. Pure."""
    total, over = sum(row.size for row in rows if not row.shared), []
    for row in sorted(rows, key=lambda row: row.last_used):
        if total <= keep_bytes:
            break
        if not row.shared and row.size:
            over.append(row)
            total -= row.size
    return over


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a cache key")
    return key


def _read(path: Path) -> Record | None:
    found = _read_dated(path)
    return found[0] if found else None


def _read_dated(path: Path) -> tuple[Record, float | None] | None:
    """A record, and when it was made where it says so."""
    try:
        fields = json.loads(path.read_bytes())
        record = Record.parse(fields)
    except (OSError, ValueError, KeyError, TypeError, DockyardError):
        return None
    with suppress(ValueError, KeyError, TypeError):
        return record, float(fields["made"])
    return record, None
