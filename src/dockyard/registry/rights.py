"""Current rights: what decisions depend on, kept by each process for as long as nobody's access changed.

Every change of access raises ``access_version`` in its own transaction. On the embedded database it is read for every
decision, so a change holds everywhere with the next request; over a network it is at most :data:`FRESH` seconds old,
and nothing is refused by what was kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from dockyard.errors import NameUnknown
from dockyard.registry import access
from dockyard.registry.access import ALL_SCOPES, ROBOT_SCOPES, Action, Actor, Kind, Place, Scope, closed
from dockyard.registry.catalog import access as catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.database import Database

K = TypeVar("K")
V = TypeVar("V")

FRESH = 1.0
"""Seconds that rights may be old where asking for their version costs a round trip."""

KEPT = 20_000
"""Places and accounts that one process keeps."""


class Rights:
    """What is known of rights in this process."""

    def __init__(self, database: Database, clock: Callable[[], float], *, open_to_all: bool) -> None:
        """``clock`` gives seconds since 1970. A hub that is ``open_to_all`` has one actor, and asks nothing."""
        self.open_to_all = open_to_all
        self._database, self._clock = database, clock
        self._age = 0.0 if database.embedded else FRESH
        self._version, self._read_at, self._is_new = "", float("-inf"), False
        self._places: dict[tuple[int | None, str], Place] = {}
        self._standings: dict[tuple[int, int | None], catalog.Standing] = {}

    async def version(self) -> str:
        """The version of access that what follows is decided by; what was kept of others is gone."""
        if self._age:
            now = self._clock()
            if not now - self._read_at < self._age:
                await self._refresh()
                self._read_at = now
        elif not self._is_new:
            await self._refresh()
            # Who asks before the loop gets there asked before it was read: one reading does for a whole request.
            self._is_new = True
            asyncio.get_running_loop().call_soon(self._grow_old)
        return self._version

    async def actor(self, account: int, token: int | None = None, *, address: str = "") -> Actor | None:
        """The account as it is now, with the scopes of the token that proves it; ``None`` where either is over."""
        await self.version()
        key = account, token
        standing = self._standings.get(key)
        if standing is None:
            version = self._version
            standing = await self._database.read(catalog.standing, account, token)
            if standing is not None:
                self._keep(self._standings, key, standing, version)
        if standing is None or (standing.expires is not None and standing.expires <= self._clock() * 1000):
            return None
        scopes = ROBOT_SCOPES if standing.kind == "robot" else ALL_SCOPES
        if standing.scopes is not None:
            scopes &= closed(Scope(name) for name in standing.scopes.split())
        kind = Kind.ROBOT if standing.kind == "robot" else Kind.USER
        proof = "" if token else standing.proof
        return Actor(standing.id, standing.name, kind, standing.administrator, scopes, None, token, address, proof)

    async def place(self, actor: Actor, repository: RepositoryName) -> Place:
        """The repository as the actor finds it."""
        if self.open_to_all:
            return Place(repository, exists=True, private=False)
        await self.version()
        found = self._places.get((actor.id, repository))
        if found is None:
            version = self._version
            found = await self._database.read(catalog.place, actor.id, repository)
            self._keep(self._places, (actor.id, repository), found, version)
        return found

    async def account(self, actor: Actor, name: str) -> Place:
        """A user or organisation as the actor finds it."""
        return await self._database.read(catalog.account_place, actor.id, name)

    async def allowed(self, actor: Actor, action: Action, repository: RepositoryName) -> bool:
        """Whether the actor may do this to the repository now."""
        if self.open_to_all:
            return True
        place = await self.place(actor, repository)
        if access.allowed(actor, action, place):
            return True
        if self._age:
            self._read_at = float("-inf")
            place = await self.place(actor, repository)
        return access.allowed(actor, action, place)

    async def require(self, actor: Actor, action: Action, repository: RepositoryName) -> None:
        """Raise what :func:`dockyard.registry.access.refusal` says, unless allowed."""
        if not await self.allowed(actor, action, repository):
            raise access.refusal(actor, action, await self.place(actor, repository))

    async def require_account(self, actor: Actor, action: Action, name: str, noun: str = "account") -> None:
        """Raise what :func:`dockyard.registry.access.refusal` says, unless allowed; ``noun`` says what is not there."""
        place = await self.account(actor, name)
        if not access.allowed(actor, action, place):
            refused = access.refusal(actor, action, place)
            raise NameUnknown(f"there is no {noun} {name}") if isinstance(refused, NameUnknown) else refused

    def _grow_old(self) -> None:
        self._is_new = False

    async def _refresh(self) -> None:
        row = await self._database.look_up(catalog.VERSION)
        version = row[0] if row else ""
        if version != self._version:
            self._version = version
            self._places.clear()
            self._standings.clear()

    def _keep(self, kept: dict[K, V], key: K, value: V, version: str) -> None:
        # What was read while the version rose may be of either side of the change: it is used, and not kept.
        if version == self._version:
            if len(kept) >= KEPT:
                kept.clear()
            kept[key] = value
