"""Who somebody is, from what they present: a name with a password or a token, a token alone, or a ticket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from dockyard.errors import Unauthenticated
from dockyard.registry.access import ANONYMOUS
from dockyard.registry.catalog import accounts
from dockyard.registry.names import is_account_name
from dockyard.registry.tokens import is_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database
    from dockyard.registry.passwords import Passwords
    from dockyard.registry.rights import Rights
    from dockyard.registry.signing import Signing, Ticket
    from dockyard.registry.tokens import Tokens

TOKEN_USER = "<token>"  # noqa: S105
"""The user name that stands for whoever the token belongs to. Docker's clients send it."""

REMEMBERED_SECONDS = 300
"""How long a process remembers that a password was right; proving it costs a hundred times an answer."""

TRUSTED_SECONDS = 10
"""How long a process goes by whom a ticket was found to be of, while nobody's access changes."""

_KEPT = 10_000


class _Proof(NamedTuple):
    """A password that was right: whose it is, what was kept of it then, and the version of rights of that time.

    ``digest`` is salted, so that what a dump of memory shows is no hash that tables have.
    """

    digest: bytes
    account: int
    kept: str
    version: str
    until: float


class _Shown(NamedTuple):
    """A ticket that was looked at: what it says, whose it is, and the version of rights and the time that held for."""

    ticket: Ticket
    actor: Actor
    version: str
    until: float


class Credentials:
    """Proves who asks, with what the other parts know of passwords and tokens."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        tokens: Tokens,
        passwords: Passwords,
        signing: Signing,
        clock: Callable[[], float],
    ) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock
        self._tokens, self._passwords, self._signing = tokens, passwords, signing
        self._salt = os.urandom(32)
        # By name and address: what was right from one address opens no door around the limits at another.
        self._proofs: dict[tuple[str, str], _Proof] = {}
        self._shown: dict[tuple[str, str], _Shown] = {}
        self._turns: WeakValueDictionary[tuple[str, str, bytes], asyncio.Lock] = WeakValueDictionary()

    async def basic(self, username: str, password: str, *, address: str) -> Actor:
        """Who has this name, and this password or token. Unauthenticated, TooMany."""
        if is_secret(password):
            return await self._by_token(username, password, address)
        digest = hashlib.sha256(self._salt + password.encode(errors="surrogatepass")).digest()
        account = await self._remembered(username, address, digest)
        if account is None:
            # A client that opens many connections at once has its password proved once.
            turn = self._turns.setdefault((username, address, digest), asyncio.Lock())
            async with turn:
                account = await self._remembered(username, address, digest)
                if account is None:
                    account = await self._prove(username, password, address, digest)
        actor = await self._rights.actor(account, address=address)
        if actor is None:
            raise _wrong()
        return actor

    async def token(self, secret: str, *, address: str) -> Actor:
        """Whose token this is: a personal one, a robot's or a client's login. Unauthenticated."""
        return await self._by_token(TOKEN_USER, secret, address)

    async def ticket(self, text: str, *, address: str) -> tuple[Actor, Ticket]:
        """Whose ticket of the token service this is, and what it says. It may be over. Unauthenticated."""
        key, now = (text, address), self._clock()
        version = await self._rights.version()
        shown = self._shown.get(key)
        if shown is None or shown.version != version or shown.until <= now:
            ticket = self._signing.read(text)
            actor: Actor | None = ANONYMOUS
            if ticket.account is not None:
                actor = await self._rights.actor(ticket.account, ticket.token)
            if actor is None or actor.proof != ticket.proof:
                raise Unauthenticated("whom this token is of may no longer ask, or has another password now")
            if len(self._shown) >= _KEPT:
                self._shown.clear()
            actor = replace(actor, granted=ticket.granted, address=address)
            shown = self._shown[key] = _Shown(ticket, actor, version, now + TRUSTED_SECONDS)
        return shown.actor, shown.ticket

    async def _by_token(self, username: str, secret: str, address: str) -> Actor:
        if known := await self._tokens.find(secret):
            actor = await self._rights.actor(known.account, known.token, address=address)
            if actor is not None and username in (TOKEN_USER, actor.name):
                self._tokens.note_used(known.token)
                return actor
        # Not counted: nobody guesses one, and a job with an old token must not keep its neighbours from logging in.
        # Docker shows this to people who typed no password: it kept a login for them.
        raise Unauthenticated("the token or login is not valid, or no longer: log in again")

    async def _remembered(self, username: str, address: str, digest: bytes) -> int | None:
        key = username, address
        proof = self._proofs.get(key)
        if proof is None or proof.until <= self._clock() or not hmac.compare_digest(proof.digest, digest):
            return None
        version = await self._rights.version()
        if proof.version != version:
            # Somebody's access changed; this password still is the one, unless it is another now.
            row = await self._database.look_up(accounts.LOGIN, username)
            if row is None or (row[0], row[1], bool(row[2])) != (proof.account, proof.kept, False):
                self._proofs.pop(key, None)
                return None
            self._proofs[key] = proof._replace(version=version)
        return proof.account

    async def _prove(self, username: str, password: str, address: str, digest: bytes) -> int:
        # A wrong guess ends what is remembered: whoever guesses on from there meets the limits, also when right.
        self._proofs.pop((username, address), None)
        version = await self._rights.version()
        row = await self._database.look_up(accounts.LOGIN, username) if is_account_name(username) else None
        proven = await self._passwords.prove(username, password, address=address)
        if proven.second_factor:
            raise Unauthenticated(
                "this account has two-factor authentication on: use a personal access token as the password"
            )
        if row is not None and row[0] == proven.id and row[1]:
            if len(self._proofs) >= _KEPT:
                self._proofs.clear()
            until = self._clock() + REMEMBERED_SECONDS
            self._proofs[username, address] = _Proof(digest, proven.id, row[1], version, until)
        return proven.id


def _wrong() -> Unauthenticated:
    return Unauthenticated("incorrect user name or password")
