"""Sessions of browsers: a cookie that only its browser has, and a token beside it that forms carry."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dockyard.errors import Denied
from dockyard.registry.access import Action, Kind
from dockyard.registry.catalog import sessions as catalog
from dockyard.registry.profiles import NewSession, Session, moment
from dockyard.registry.tokens import hashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.registry.access import Actor
    from dockyard.registry.accounts import Accounts
    from dockyard.registry.database import Database
    from dockyard.registry.passwords import Passwords, Proven
    from dockyard.registry.rights import Rights
    from dockyard.registry.second_factor import SecondFactor

IDLE_MS = 14 * 86400 * 1000
"""How long a session lives without being used."""

LIFE_SECONDS = 90 * 86400
"""How long a session lives at most."""

NOTED_MS = 60 * 1000
"""How old the noted time of a session's last use may be."""

LONGEST_AGENT = 200
"""Characters kept of what a browser calls itself."""


class Sessions:
    """Signing in and out of the pages."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        clock: Callable[[], float],
        *,
        accounts: Accounts,
        passwords: Passwords,
        second_factor: SecondFactor,
    ) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock
        self._accounts, self._passwords, self._second_factor = accounts, passwords, second_factor

    async def sign_in(self, name: str, password: str, code: str | None, *, address: str, agent: str) -> NewSession:
        """Begin a session for who knows the password and, where there is a second factor, has a code of it.

        Unauthenticated, SecondFactorNeeded (the password was right, and ``code`` is missing), TooMany.
        """
        proven = await self._passwords.prove(
            name, password, address=address, further=lambda proven: self._second_factor.demand(proven, code)
        )
        return await self._begin(proven, address, agent)

    async def finish(self, pending: str, code: str, *, address: str, agent: str) -> NewSession:
        """Go on with a sign-in that SecondFactorNeeded ended, by what it carried as ``pending``.

        Unauthenticated for a wrong code, or where that was over five minutes ago; TooMany.
        """
        proven = await self._second_factor.resume(pending)
        await self._passwords.go_on(
            proven, address=address, further=lambda proven: self._second_factor.demand(proven, code)
        )
        return await self._begin(proven, address, agent)

    async def begin(self, actor: Actor, *, agent: str) -> NewSession:
        """Begin a session for an actor who has just proven who they are. Denied for who is no user."""
        if actor.kind is not Kind.USER or actor.id is None:
            raise Denied("only users sign in")
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        now = self._now()
        shown = "".join(character if character.isprintable() else " " for character in agent[:LONGEST_AGENT])
        row = {"hash": hashed(cookie), "csrf": csrf, "expires": now + LIFE_SECONDS * 1000, "agent": shown}
        await self._database.write(catalog.begin, actor, row, now=now, idle_since=now - IDLE_MS)
        return NewSession(cookie, csrf, LIFE_SECONDS)

    async def actor(self, cookie: str, *, address: str) -> tuple[Actor, str] | None:
        """Who a cookie belongs to, and the token that their forms carry; ``None`` where the session is over."""
        row = await self._database.look_up(catalog.SESSION, hashed(cookie))
        if row is None:
            return None
        id, account, csrf, used, expires = row
        now = self._now()
        if expires <= now or used <= now - IDLE_MS:
            return None
        actor = await self._rights.actor(account, address=address)
        if actor is None:
            return None
        if used <= now - NOTED_MS:
            await self._database.write(catalog.use, id, now)
        return actor, csrf

    async def all(self, actor: Actor, cookie: str | None) -> list[Session]:
        """The actor's sessions, the newest first; the one of ``cookie`` is the current one. Denied."""
        account = await self._accounts.require_own(actor, Action.INSPECT)
        current = None if cookie is None else hashed(cookie)
        now = self._now()
        rows = await self._database.read(catalog.of_account, account, now=now, idle_since=now - IDLE_MS)
        return [
            Session(
                row.id,
                moment(row.created),
                moment(row.used),
                moment(min(row.expires, row.used + IDLE_MS)),
                row.address,
                row.agent,
                row.hash == current,
            )
            for row in rows
        ]

    async def end(self, actor: Actor, id: int) -> None:
        """End one of the actor's sessions. NotFound for others', Denied."""
        account = await self._accounts.require_own(actor, Action.MANAGE)
        await self._database.write(catalog.end, actor, account, id, now=self._now())

    async def end_current(self, cookie: str, *, address: str = "") -> None:
        """Sign out; a cookie that belongs to no session is fine."""
        found = await self.actor(cookie, address=address)
        if found is not None:
            await self._database.write(catalog.end_by_hash, found[0], hashed(cookie), now=self._now())

    async def _begin(self, proven: Proven, address: str, agent: str) -> NewSession:
        actor = await self._rights.actor(proven.id, address=address)
        if actor is None:
            raise Denied("the account was blocked meanwhile")
        return await self.begin(actor, agent=agent)

    def _now(self) -> int:
        return int(self._clock() * 1000)
