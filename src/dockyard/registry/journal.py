"""The journal: one immutable file for each change, from which the database can be rebuilt.

A change commits to the table ``changes`` with its record, then the record is stored, then the client is told::

    DATA/journal/<repository id>/<revision>.json

A record stays in the table until it is known to be stored. After a crash, or a disk that was full, those still
there are stored again; nothing ever changes a file.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from dockyard.content.folders import make_folder, storage_errors, sync_folder
from dockyard.registry.catalog import changes
from dockyard.registry.records import Record, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dockyard.registry.database import Database
    from dockyard.registry.records import Entry

BATCH = 200


class Journal:
    """The journal of a hub, in a folder."""

    def __init__(self, folder: Path, database: Database) -> None:
        """Make the folder where there is none."""
        with storage_errors(folder):
            make_folder(folder)
        self._folder, self._database = folder, database
        self._threads = ThreadPoolExecutor(4, "journal")
        self._stored: list[tuple[int, int]] = []
        self._durable: set[Path] = set()

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self._threads.shutdown()

    async def store(self, entry: Entry) -> None:
        """Store a committed change's record, durably. Full, Unavailable: it is then stored later."""
        await self._store([entry])
        self._stored.append((entry.repository, entry.revision))

    async def mark(self) -> None:
        """Say in the table which records were stored since the last time."""
        stored, self._stored = self._stored, []
        try:
            if stored:
                await self._database.write(changes.mark_stored, stored)
        except BaseException:
            self._stored += stored
            raise

    async def catch_up(self) -> None:
        """Store the records that somebody committed and perhaps could not store."""
        await self.mark()
        while entries := await self._database.read(changes.unstored, BATCH):
            await self._store(entries)
            stored = [(entry.repository, entry.revision) for entry in entries]
            await self._database.write(changes.mark_stored, stored)

    async def _store(self, entries: Sequence[Entry]) -> None:
        with storage_errors(self._folder):
            await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._write, entries))

    def _write(self, entries: Sequence[Entry]) -> None:
        folders = {self._folder / str(entry.repository) for entry in entries}
        for folder in folders - self._durable:
            make_folder(folder)
            sync_folder(self._folder)  # another process may have made it and not synced yet
            self._durable.add(folder)
        for entry in entries:
            target = self._folder / str(entry.repository) / f"{entry.revision}.json"
            if not target.exists():
                _write_beside(target, entry.record)
        for folder in folders:
            sync_folder(folder)


async def replay(folder: Path, database: Database) -> int:
    """Let every change of a journal happen in an empty database, in order; return how many there were."""
    loop, count = asyncio.get_running_loop(), 0
    batches = _batches(folder)
    while batch := await loop.run_in_executor(None, next, batches, None):
        await database.write(changes.restore, batch)
        count += len(batch)
    return count


def _batches(folder: Path) -> Iterator[list[Record]]:
    for repository in sorted(int(path.name) for path in folder.iterdir()):
        revisions = sorted(int(path.stem) for path in (folder / str(repository)).glob("[0-9]*.json"))
        for start in range(0, len(revisions), BATCH):
            files = (folder / str(repository) / f"{revision}.json" for revision in revisions[start : start + BATCH])
            yield [decode(path.read_bytes()) for path in files]


def _write_beside(target: Path, content: bytes) -> None:
    beside = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
