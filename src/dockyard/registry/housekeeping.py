"""What a hub does beside its requests: write counts in batches, store what was not stored, expire uploads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import structlog

from dockyard.errors import DockyardError
from dockyard.registry.catalog import leases, pulls
from dockyard.registry.catalog.pulls import Pulled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.database import Database
    from dockyard.registry.journal import Journal
    from dockyard.registry.uploads import Uploads

BATCH_SECONDS = 2
LEASE_SECONDS = 60
DAY_SECONDS = 86400

log = structlog.get_logger(__name__)


class Pulls:
    """Counts of pulls that are not written yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[tuple[RepositoryName, Digest, int], Pulled] = {}

    def note(self, repository: RepositoryName, digest: Digest, now: float) -> None:
        """Count one pull, at a time in seconds since 1970."""
        day = int(now // DAY_SECONDS)
        found = self._counts.get((repository, digest, day))
        if found is None:
            found = self._counts[repository, digest, day] = Pulled(repository, str(digest), day, 0, 0)
        found.count += 1
        found.last = int(now * 1000)

    async def write(self) -> None:
        """Add what was counted to the database's counts."""
        counts, self._counts = self._counts, {}
        if counts:
            try:
                await self._database.write(pulls.add, list(counts.values()))
            except DockyardError:
                for key, item in self._counts.items():  # what came meanwhile joins what could not be written
                    if before := counts.get(key):
                        item.count += before.count
                self._counts = counts | self._counts
                raise


class Housekeeping:
    """Runs beside one process's requests; what only one process should do, the holder of a lease does."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        uploads: Uploads,
        pulls: Pulls,
        *,
        holder: str,
        upload_expiry: int,
        clock: Callable[[], float],
    ) -> None:
        """``upload_expiry`` is in seconds; ``clock`` gives seconds since 1970."""
        self._database, self._journal, self._uploads = database, journal, uploads
        self._holder, self._upload_expiry, self._clock = holder, upload_expiry, clock
        self.writers: list[Callable[[], Awaitable[None]]] = [pulls.write, journal.mark]

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End, after writing what is pending."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._attempt(self.write)
        await self._attempt(self._release)

    async def write(self) -> None:
        """Write what this process has gathered."""
        for write in self.writers:
            await write()

    async def tidy(self) -> bool:
        """Do what one process does for all; ``False`` where another one holds the lease."""
        now = int(self._clock() * 1000)
        until = now + LEASE_SECONDS * 1000
        if not await self._database.write(leases.take, "housekeeping", self._holder, now=now, until=until):
            return False
        await self._journal.catch_up()
        if dropped := await self._uploads.expire(self._upload_expiry):
            log.info("uploads expired", count=dropped)
        return True

    async def _run(self) -> None:
        for turn in itertools.count():
            await self._attempt(self.write)
            if turn % (LEASE_SECONDS // BATCH_SECONDS // 2) == 0:
                await self._attempt(self.tidy)
            await asyncio.sleep(BATCH_SECONDS)

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> None:
        # The next turn tries again: a full disk or a busy database must not end the housekeeping.
        try:
            await work()
        except DockyardError as error:
            log.warning("housekeeping failed", work=work.__name__, error=error.message)

    async def _release(self) -> None:
        await self._database.write(leases.release, "housekeeping", self._holder)
