"""Personal access tokens, and the logins that clients keep in place of a password."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from dockyard.errors import Denied, DockyardError, Invalid, NotFound
from dockyard.registry import access
from dockyard.registry.access import Action, Place, Scope, closed
from dockyard.registry.catalog import audit
from dockyard.registry.catalog import tokens as catalog
from dockyard.registry.catalog.tokens import Kept
from dockyard.registry.profiles import NewToken, PersonalToken, ScopeName, moment, moment_or_none
from dockyard.registry.texts import check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database
    from dockyard.registry.rights import Rights

TokenKind = Literal["personal", "robot", "login"]

PREFIXES: dict[TokenKind, str] = {"personal": "dyp_", "robot": "dyr_", "login": "dyl_"}
"""What secrets begin with, so that people, and programs that look for lost secrets, know what they see."""

LOGIN_SECONDS = 90 * 86400
LOGINS, LOGINS_OF_ALL = 20, 100
"""Logins that an account keeps from clients of one name, and from all; the oldest go."""

LONGEST_NAME, LONGEST_LIFE = 100, 10 * 366 * 86400
"""Of a token: characters, and seconds."""

_LENGTH = 40  # characters of 62: 238 bits, which nobody guesses, so a quick hash is enough
_ALPHABET = string.ascii_letters + string.digits
_SECRET = re.compile(rf"dy[prl]_[A-Za-z0-9]{{{_LENGTH}}}", re.ASCII)
_KEPT = 20_000


class Known(NamedTuple):
    """A token that is there, or was a moment ago: whether it still counts is for ``Rights.actor``."""

    account: int
    token: int
    kind: TokenKind


def make_secret(kind: TokenKind) -> str:
    """A new secret; what is kept of it is :func:`hashed`."""
    return PREFIXES[kind] + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def is_secret(text: str) -> bool:
    """Whether this has the form of a token's secret."""
    return _SECRET.fullmatch(text) is not None


def hashed(secret: str) -> str:
    """What the database keeps of a secret."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def check_life(seconds: int | None, what: str) -> None:
    """Raise Invalid where a token can't hold so long; ``what`` is what has it, and ``None`` is for ever."""
    if seconds is not None and not 0 < seconds <= LONGEST_LIFE:
        raise Invalid(f"a {what} can't expire in {seconds} seconds", hint="From 1 second to 10 years can be.")


class Tokens:
    """The tokens of a hub."""

    def __init__(self, database: Database, rights: Rights, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock
        self._known: dict[str, Known] = {}
        self._noted: dict[int, float] = {}
        self._unwritten: dict[int, int] = {}

    async def create(
        self, actor: Actor, name: str, scopes: Iterable[Scope], *, expires_in: int | None = None
    ) -> NewToken:
        """Make a personal token that holds for ``expires_in`` seconds, or until revoked. Denied, Invalid."""
        account = self._own(actor, Action.MANAGE)
        name, wanted = check_text(name.strip(), longest=LONGEST_NAME, what="name"), frozenset(scopes)
        if not name:
            raise Invalid("a token needs a name")
        if not wanted:
            raise Invalid("a token needs a scope", hint=f"Scopes are {', '.join(scope.value for scope in Scope)}.")
        if not closed(wanted) <= actor.scopes:
            raise Denied("a token can't do more than what it is made with")
        check_life(expires_in, "token")
        secret, now = make_secret("personal"), self._now()
        expires = None if expires_in is None else now + expires_in * 1000
        names = sorted(scope.value for scope in wanted)

        def make(connection: Connection) -> Kept:
            made = catalog.add(connection, account, "personal", name, hashed(secret), names, now, expires)
            detail = {"token": name, "scopes": names}
            audit.note(connection, actor, "token.create", actor.name or "", account=account, now=now, detail=detail)
            return Kept(made, "personal", name, " ".join(names), now, expires, None)

        return NewToken(_token(await self._database.write(make)), secret)

    async def all(self, actor: Actor) -> list[PersonalToken]:
        """The actor's own tokens and logins, the newest first. Denied."""
        account = self._own(actor, Action.INSPECT)
        return [_token(kept) for kept in await self._database.read(catalog.of, account) if kept.kind != "robot"]

    async def revoke(self, actor: Actor, token: int) -> None:
        """End one of the actor's own tokens, and the logins made with it. Denied; NotFound for anything else."""
        account, now = self._own(actor, Action.MANAGE), self._now()

        def take(connection: Connection) -> None:
            found = catalog.revoke(connection, account, token)
            if found is None:
                raise NotFound(f"you have no token {token}")
            detail = {"kind": found[0], "token": found[1]}
            audit.note(connection, actor, "token.revoke", actor.name or "", account=account, now=now, detail=detail)

        await self._database.write(take)

    async def create_login(self, actor: Actor, client: str) -> str:
        """Return the secret of a new login for a client that calls itself so.

        It does what the actor's credential does, and ends with it where that was a token.
        """
        account, now, secret = actor.id, self._now(), make_secret("login")
        if account is None:
            raise access.refusal(actor, Action.MANAGE, access.HUB)
        name = "".join(filter(str.isprintable, client)).strip()[:LONGEST_NAME] or "unknown"
        names = sorted(scope.value for scope in actor.scopes)

        def make(connection: Connection) -> None:
            expires = now + LOGIN_SECONDS * 1000
            if actor.token is not None and (ends := catalog.expiry(connection, actor.token)) is not None:
                expires = min(expires, ends)
            catalog.add(connection, account, "login", name, hashed(secret), names, now, expires, actor.token)
            catalog.drop_old_logins(connection, account, name, keep=LOGINS, of_all=LOGINS_OF_ALL, now=now)
            detail = {"client": name}
            audit.note(connection, actor, "login.create", actor.name or "", account=account, now=now, detail=detail)

        await self._database.write(make)
        return secret

    async def find(self, secret: str) -> Known | None:
        """The token with this secret; ``None`` where there is none."""
        if not is_secret(secret):
            return None
        hash = hashed(secret)
        known = self._known.get(hash)
        if known is None:
            row = await self._database.look_up(catalog.FIND, hash)
            if row is None:
                return None
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[hash] = Known(*row)
        return known

    def note_used(self, token: int) -> None:
        """Note that the token was used now; it is written later, with others."""
        now = self._clock()
        if now - self._noted.get(token, 0.0) >= catalog.USED_MS / 1000:
            if len(self._noted) >= _KEPT:
                self._noted.clear()
            self._noted[token] = now
            self._unwritten[token] = int(now * 1000)

    async def write(self) -> None:
        """Write which tokens were used."""
        times, self._unwritten = self._unwritten, {}
        if times:
            try:
                await self._database.write(catalog.used, times)
            except DockyardError:
                self._unwritten = times | self._unwritten
                raise

    def _own(self, actor: Actor, action: Action) -> int:
        """The actor's own account, where they may do this to it."""
        if actor.id is None or actor.name is None:
            raise access.refusal(actor, action, access.HUB)
        access.require(actor, action, Place(actor.name, exists=True, owned=True))
        return actor.id

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _token(kept: Kept) -> PersonalToken:
    scopes: list[ScopeName] = [scope for scope in get_args(ScopeName) if scope in kept.scopes.split()]
    kind: Literal["personal", "login"] = "login" if kept.kind == "login" else "personal"
    times = moment(kept.created), moment_or_none(kept.expires), moment_or_none(kept.used)
    return PersonalToken(kept.id, kind, kept.name, scopes, *times)
