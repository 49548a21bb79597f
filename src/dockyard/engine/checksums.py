"""Checksums of files for the build cache, and a memory of them: what did not change is not read again.

::

    FOLDER/<hex>     of one context: for each file its device, inode, size, times, and the SHA-256 of its content

A file whose size and times are as remembered is believed to be as it was, as make and git do. One that was changed
shortly before it was read is not remembered: it might change again within the same tick of the file system's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors
from dockyard.content.protocols import CHUNK
from dockyard.engine.walking import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import BinaryIO

    from dockyard.engine.walking import Found, Founds, WalkTree

MOST_FILES = 64
"""Contexts that are remembered."""
MOST_RECORDS = 500_000
"""Files of one context that are remembered."""
_MAGIC = b"dockyard sums 1\n"
_HEAD = struct.Struct("<16sIQQ")  # magic, CRC of the rest, records, bytes of JSON with extended attributes
_RECORD = struct.Struct("<QQQqq32s")
_TICK = 500_000_000  # ns; file systems with finer times than a second move their clocks each 1 to 10 ms
_COARSE_TICK = 2_000_000_000  # ns; some only keep whole or even seconds
_BATCH = 64

_Key = tuple[int, int]
_Record = tuple[int, int, int, int, int, bytes]


class Checksums:
    """Fills in ``digest`` and ``xattrs`` of what was found in trees. Safe to share between threads and processes."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = time.time_ns, threads: int = 0) -> None:
        self._folder, self._clock = folder, clock
        self._threads = threads or min(8, os.cpu_count() or 1)
        self._memories: dict[str, _Memory] = {}
        self._lock = threading.Lock()

    def fill(self, tree: WalkTree, found: Iterable[Found]) -> None:
        """Give each file its SHA-256 and each file and folder its extended attributes. BuildFailed, Unavailable."""
        wanted = [one for one in found if not one.digest and (one.is_file or (one.xattrs is None and one.is_folder))]
        if not wanted:
            return
        memory = self._memory(tree.name)
        unknown = [one for one in wanted if not memory.recall(one)] if tree.name else wanted
        now = self._clock()
        batches = _batches(unknown)
        if len(batches) < 2:
            for batch in batches:
                _read(tree, batch)
        else:
            with ThreadPoolExecutor(min(self._threads, len(batches)), "checksum") as threads:
                for _ in threads.map(lambda batch: _read(tree, batch), batches):
                    pass
        if tree.name and unknown:
            memory.learn(unknown, now)
            memory.save()

    def _memory(self, name: str) -> _Memory:
        with self._lock:
            if name not in self._memories:
                hashed = hashlib.sha256(os.fsencode(name)).hexdigest()
                self._memories[name] = _Memory(self._folder / hashed)
            return self._memories[name]


class _Memory:
    """What is remembered of one context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._records: dict[_Key, _Record] = {}
        self._xattrs: dict[_Key, Mapping[str, bytes]] = {}
        self._seen: set[_Key] = set()
        with suppress(OSError, ValueError, struct.error):
            self._load()

    def recall(self, found: Found) -> bool:
        """Fill in what is remembered of a file; whether it is."""
        status = found.status
        key = (status.st_dev, status.st_ino)
        record = self._records.get(key)
        if (
            record is None
            or record[4] != status.st_ctime_ns
            or record[3] != status.st_mtime_ns
            or record[2] != status.st_size
        ):
            return False
        if found.is_file:
            found.digest = record[5]
        found.xattrs = self._xattrs.get(key, _NONE)
        self._seen.add(key)
        return True

    def learn(self, found: Sequence[Found], now: int) -> None:
        """Remember files that were read after ``now``, unless they had just been changed."""
        with self._lock:
            for one in found:
                status = one.status
                key = (status.st_dev, status.st_ino)
                coarse = status.st_ctime_ns % 1_000_000_000 == 0
                if status.st_ctime_ns > now - (_COARSE_TICK if coarse else _TICK):
                    self._records.pop(key, None)
                    continue
                self._records[key] = (*key, status.st_size, status.st_mtime_ns, status.st_ctime_ns, one.digest)
                self._xattrs.pop(key, None)
                if one.xattrs:
                    self._xattrs[key] = one.xattrs
                self._seen.add(key)

    def save(self) -> None:
        """Write it beside, then rename. What was not seen goes first where it is too much. Full, Unavailable."""
        with self._lock, storage_errors(self._path.parent):
            if len(self._records) > MOST_RECORDS:
                self._records = {key: self._records[key] for key in list(self._seen)[:MOST_RECORDS]}
            body = b"".join(_RECORD.pack(*record) for record in self._records.values())
            kept = [
                [*key, {name: value.hex() for name, value in found.items()}]
                for key, found in self._xattrs.items()
                if key in self._records
            ]
            tail = json.dumps(kept).encode()
            head = _HEAD.pack(_MAGIC, zlib.crc32(tail, zlib.crc32(body)), len(self._records), len(tail))
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                beside.write_bytes(head + body + tail)
                beside.rename(self._path)
            finally:
                beside.unlink(missing_ok=True)
            _bound(self._path.parent)

    def _load(self) -> None:
        raw = self._path.read_bytes()
        magic, crc, count, length = _HEAD.unpack_from(raw)
        body = memoryview(raw)[_HEAD.size :]
        if magic != _MAGIC or len(body) != count * _RECORD.size + length or zlib.crc32(body) != crc:
            return
        at = count * _RECORD.size
        self._records = {record[:2]: record for record in _RECORD.iter_unpack(body[:at])}
        for device, inode, found in json.loads(bytes(body[at:])):
            self._xattrs[device, inode] = {name: bytes.fromhex(value) for name, value in found.items()}


_NONE: Mapping[str, bytes] = {}


def _bound(folder: Path) -> None:
    """Forget the contexts that were not built for the longest."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in sorted(paths, key=_used)[: max(0, len(paths) - MOST_FILES)]:
        path.unlink(missing_ok=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _batches(found: Founds) -> list[Founds]:
    """Cut what is to be read into pieces for threads, big files alone, in the order of the walk."""
    out: list[Founds] = []
    size = 0
    for one in found:
        if not out or len(out[-1]) >= _BATCH or size > CHUNK:
            out.append([])
            size = 0
        out[-1].append(one)
        size += one.status.st_size if one.is_file else 0
    return out


def _read(tree: WalkTree, found: Founds) -> None:
    with tree.reader() as reader:
        for one in found:
            if one.is_file:
                with reader.open(one) as file:
                    one.digest = _hash(file, one.status.st_size)
            if one.xattrs is None:
                one.xattrs = reader.xattrs(one)


def _hash(file: BinaryIO, size: int) -> bytes:
    if size < CHUNK:  # of most files there is one piece
        return hashlib.sha256(read_whole(file, size)).digest()
    hasher = hashlib.sha256()
    while piece := file.read(CHUNK):
        hasher.update(piece)
    return hasher.digest()
