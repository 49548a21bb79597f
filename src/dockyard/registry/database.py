"""The database: one function on a connection is one transaction.

``read`` and ``write`` run a function of ``catalog`` in a thread. ``look_up`` runs one compiled query that finds at
most one row by its index, on the event loop where the database is embedded: measured, such a query takes 5 µs
through the driver and 20 µs through SQLAlchemy, and a hop to a thread and back takes 60.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, Select, create_engine, event, exc

from dockyard.errors import DockyardError, Full, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 60
"""How long a transaction waits for other processes' writes before it gives up."""

_AGAIN = {"40001", "40P01", "23505"}
"""Two transactions that could not both happen (SQLSTATE): PostgreSQL undoes one, which then sees what the other did."""

_FULL = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"}


class LookUp:
    """A query that finds at most one row by an index. Its parameters are named ``a``, ``b``, … and given in order."""

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


class Database:
    """Where the hub's rows are. Several processes may have the same one open."""

    def __init__(self, url: str) -> None:
        """``url`` is SQLAlchemy's."""
        self._readers, self._writers = create_engine(url, pool_size=40), create_engine(url)
        self.embedded = self._readers.dialect.name == "sqlite"
        if not self.embedded:
            self._writers = self._writers.execution_options(isolation_level="SERIALIZABLE")
        else:
            _prepare(self._readers, begin="BEGIN", query_only=True)
            # A transaction that reads, then writes, fails at once when another wrote in between: lock first.
            _prepare(self._writers, begin="BEGIN IMMEDIATE", query_only=False)
        self._read_threads = ThreadPoolExecutor(4, "database-read")
        self._write_threads = ThreadPoolExecutor(1 if self.embedded else 4, "database-write")
        self._local = threading.local()
        self._compiled: dict[LookUp, tuple[str, tuple[str, ...] | None]] = {}

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the embedded database in a file, making it where there is none. Full, Unavailable.

        The file is its owner's only, whatever folder and umask say: it holds hashes of passwords and the hub's key.
        """
        _keep_to_owner(path)
        database = cls(f"sqlite:///{path}")
        try:
            with database_errors():
                database._set_journal_mode()
        except database._readers.dialect.loaded_dbapi.Error as error:
            database.close()
            raise _translated(error) from error
        except DockyardError:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Wait for what runs and let go."""
        self._read_threads.shutdown()
        self._write_threads.shutdown()
        self._readers.dispose()
        self._writers.dispose()

    @property
    def engine(self) -> Engine:
        """The engine of writing transactions."""
        return self._writers

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a transaction that only reads. Unavailable."""
        call = partial(_transaction, self._readers, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, call)

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a transaction and return once it is durable. What it raises undoes all. Full."""
        call = partial(_transaction, self._writers, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._write_threads, call)

    async def look_up(self, query: LookUp, *values: object) -> Sequence[Any] | None:
        """Return the row that ``query`` finds, as it is now, or ``None``. Unavailable."""
        if self.embedded:
            return self.look_up_here(query, *values)
        call = partial(self.look_up_here, query, *values)
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, call)

    def look_up_here(self, query: LookUp, *values: object) -> Sequence[Any] | None:
        """:meth:`look_up` in the thread of the caller, over that thread's own connection."""
        try:
            cursor = self._cursor()
            text, names = self._compiled.get(query) or self._compile(query)
            cursor.execute(text, values if names is None else dict(zip(names, values, strict=True)))
            rows = cursor.fetchall()  # to the end, so that the statement lets go of its snapshot
        except self._readers.dialect.loaded_dbapi.Error as error:
            raise _translated(error) from error
        return rows[0] if rows else None

    def _cursor(self) -> DBAPICursor:
        try:
            cursor: DBAPICursor = self._local.cursor
        except AttributeError:
            # Kept checked out for as long as the thread lives. Outside of a transaction each query sees the newest.
            self._local.connection = self._readers.raw_connection()
            cursor = self._local.cursor = self._local.connection.cursor()
        return cursor

    def _compile(self, query: LookUp) -> tuple[str, tuple[str, ...] | None]:
        compiled = query.query.compile(dialect=self._readers.dialect)
        positions = compiled.positiontup
        names = tuple(sorted(compiled.params))
        if positions is not None and tuple(positions) != names:
            raise ValueError(f"the parameters of a look-up come in order: {positions}")
        self._compiled[query] = str(compiled), None if positions is not None else names
        return self._compiled[query]

    def _set_journal_mode(self) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        with self._writers.connect() as connection:
            driver = connection.connection.driver_connection
            if driver is None:
                raise Unavailable("the database's driver gave no connection")
            while driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                try:
                    driver.execute("PRAGMA journal_mode = WAL")
                except self._writers.dialect.loaded_dbapi.OperationalError as error:
                    # Changing the mode takes the whole file and, unlike a transaction, does not wait for it.
                    busy = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
                    if not busy or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)


def _keep_to_owner(path: Path) -> None:
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        # Never opened where it is there: closing it would let go of the locks that this process has on it.
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)  # one of an older version; what SQLite puts beside it is as it is
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Full(f"no space left for the database {path}") from error
        raise Unavailable(f"the database {path} can't be opened: {error.strerror}") from error


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn the database's errors into ours: Full, Unavailable."""
    try:
        yield
    except exc.DBAPIError as error:
        if isinstance(error.orig, Exception) and not isinstance(error, exc.ProgrammingError | exc.IntegrityError):
            raise _translated(error.orig) from error
        raise


def _transaction(engine: Engine, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    deadline = time.monotonic() + BUSY_SECONDS
    with database_errors():
        while True:
            try:
                with engine.begin() as connection:
                    return function(connection, *args, **kwargs)
            except exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _AGAIN or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - so that the same two do not meet again


def _translated(error: Exception) -> DockyardError:
    name = getattr(error, "sqlite_errorname", "")
    if name in _FULL:
        return Full("no space left for the database", hint="Free some space; nothing half-written is kept.")
    return Unavailable(f"the database can't be used now: {error}")


def _prepare(engine: Engine, *, begin: str, query_only: bool) -> None:
    def connected(connection: DBAPIConnection, record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        for setting in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -8000",
            f"query_only = {int(query_only)}",
        ):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
