"""Passwords: how they are kept, which are taken, and proof that somebody knows one.

They are hashed with argon2id, off the event loop, by a few threads of each process: what waits behind them is slower,
and never more of the machine. Source: RFC 9106, section 4, the second recommended option; NIST SP 800-63B, section
5.1.1, for what a password may be.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from dockyard.errors import Invalid, SecondFactorNeeded, Unauthenticated, Unavailable
from dockyard.registry.catalog import accounts as catalog
from dockyard.registry.limits import network_of
from dockyard.registry.names import is_account_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database
    from dockyard.registry.limits import Limits

T = TypeVar("T")

SHORTEST = 8
"""Characters that a new password has at least."""

LONGEST = 1024
"""Bytes that a password has at most."""

THREADS = 2
"""Passwords that one process hashes at a time; each takes 64 MiB meanwhile."""


def check_new(name: str, password: str) -> None:
    """Raise Invalid for what can't be the new password of the account ``name``."""
    if len(password) < SHORTEST:
        raise Invalid(f"the password is too short: it needs {SHORTEST} characters at least")
    if _encoded(password) is None:
        raise Invalid(f"the password is too long, or not text: it may take {LONGEST} bytes of UTF-8")
    if password.casefold() == name:
        raise Invalid("the password can't be the name")


class Hashing:
    """argon2id in threads."""

    def __init__(self, *, time_cost: int = 3, memory_cost: int = 65536, parallelism: int = 4) -> None:
        """The parameters are argon2id's: passes, KiB and lanes."""
        self._hasher = PasswordHasher(time_cost, memory_cost, parallelism)
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._nobodys: str | None = None

    def close(self) -> None:
        """Wait for what runs and let go."""
        self._threads.shutdown()

    async def hash(self, password: str) -> str:
        """The text to keep of a password that :func:`check_new` took."""
        return await self._run(self._hash, password)

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether ``password`` is the one that ``kept`` is of; of none (``None``) it never is, and takes as long."""
        return await self._run(self._matches, kept, password)

    def is_old(self, kept: str) -> bool:
        """Whether ``kept`` was made with other parameters than these."""
        return self._hasher.check_needs_rehash(kept)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _hash(self, password: str) -> str:
        encoded = _encoded(password)
        if encoded is None:
            raise Invalid("the password is no text that can be one")
        return self._hasher.hash(encoded)

    def _matches(self, kept: str | None, password: str) -> bool:
        if kept is None:
            self._nobodys = self._nobodys or self._hasher.hash(secrets.token_bytes(32))
        encoded = _encoded(password)
        try:
            return self._hasher.verify(kept or self._nobodys or "", encoded or b"") and bool(encoded and kept)
        except (VerifyMismatchError, InvalidHashError):
            return False
        except VerificationError as error:  # no memory, or no threads, for it now
            raise Unavailable("the password can't be proved now", retry_after=5) from error


@dataclass(frozen=True, slots=True)
class Proven:
    """Whose password it was, and how that is ``kept``.

    With a ``second_factor`` the password alone is not enough for signing in.
    """

    id: int
    name: str
    second_factor: bool
    kept: str = field(repr=False)


class Passwords:
    """Proof that somebody knows an account's password."""

    def __init__(self, database: Database, limits: Limits, hashing: Hashing) -> None:
        """Each attempt is checked against ``limits``, and counted there where it fails."""
        self._database, self._limits, self._hashing = database, limits, hashing
        # An attempt is checked, made and counted in one turn: many at once get no further than these many beyond.
        self._turns = asyncio.Semaphore(THREADS)
        self._queues: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def hash(self, password: str, *, address: str = "") -> str:
        """The text to keep of a password that :func:`check_new` took, and that somebody at ``address`` chose."""
        async with self._turn("", address):
            return await self._hashing.hash(password)

    async def prove(
        self,
        name: str,
        password: str,
        *,
        address: str,
        further: Callable[[Proven], Awaitable[None]] | None = None,
    ) -> Proven:
        """Return whose password it is. Unauthenticated, alike for wrong passwords and for names that nobody has.

        ``further`` is what else is asked of who knows it, and raises Unauthenticated or SecondFactorNeeded. Without
        it, the password of an account with a second factor does not count as a success. TooMany.
        """
        async with self._turn(name, address):
            await self._limits.check(name, address)
            async with self._counted(name, address):
                proven = await self._matching(name, password)
                if further:
                    await further(proven)
            if further or not proven.second_factor:
                await self._limits.succeeded(proven.id, name, address)
            return proven

    async def go_on(self, proven: Proven, *, address: str, further: Callable[[Proven], Awaitable[None]]) -> None:
        """Ask who has proven the password before for more, within the same limits. Unauthenticated, TooMany."""
        async with self._turn(proven.name, address):
            await self._limits.check(proven.name, address)
            async with self._counted(proven.name, address):
                await further(proven)
            await self._limits.succeeded(proven.id, proven.name, address)

    async def confirm(
        self, actor: Actor, password: str, *, further: Callable[[Proven], Awaitable[None]] | None = None
    ) -> None:
        """Let the actor prove the own password once more. Unauthenticated, TooMany."""
        await self.prove(actor.name or "", password, address=actor.address, further=further)

    @asynccontextmanager
    async def _turn(self, name: str, address: str) -> AsyncIterator[None]:
        # First among those of the same name and address: however many these are, others wait for one of them.
        queue = self._queues.setdefault((name, network_of(address)), asyncio.Lock())
        async with queue, self._turns:
            yield

    @asynccontextmanager
    async def _counted(self, name: str, address: str) -> AsyncIterator[None]:
        try:
            yield
        except SecondFactorNeeded:
            raise
        except Unauthenticated:
            await self._limits.failed(name, address)
            raise

    async def _matching(self, name: str, password: str) -> Proven:
        row = await self._database.look_up(catalog.LOGIN, name) if is_account_name(name) else None
        id, kept, second_factor = row or (0, None, False)
        if not await self._hashing.matches(kept, password) or kept is None:
            raise Unauthenticated("incorrect user name or password")
        if self._hashing.is_old(kept):
            before, kept = kept, await self._hashing.hash(password)
            await self._database.write(catalog.keep_anew, id, before, kept)
        return Proven(id, name, bool(second_factor), kept)


def _encoded(password: str) -> bytes | None:
    """The bytes that are hashed: the same however a keyboard composes its letters."""
    try:
        encoded = unicodedata.normalize("NFC", password).encode() if len(password) <= LONGEST else None
    except UnicodeEncodeError:
        return None
    return encoded if encoded is not None and len(encoded) <= LONGEST else None
