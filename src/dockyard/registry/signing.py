"""The hub's own signature: what the token service gives out, and what comes back.

A ticket is a JWT (RFC 7519) whose header never varies. What comes with any other header is refused without reading
it, so nothing in there chooses an algorithm or a key: both are ours, always.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from dockyard.errors import Unauthenticated
from dockyard.registry.catalog import tokens as catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from dockyard.config import ServeSettings
    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database

LIFE = 300
"""Seconds that a ticket holds. Rights are looked at with every request, so a long life gives nobody more."""

LEEWAY = 60
"""Seconds by which the clocks of machines that share a database may differ."""

LONGEST = 8000
"""Characters of a ticket; proxies cut longer headers."""

_ALGORITHM = "HS256"
_HEADER = {"alg": _ALGORITHM, "typ": "JWT"}
_KEPT = 10_000
_BITS = {"pull": 1, "push": 2, "delete": 4, "catalog": 8}

Pairs = frozenset[tuple[str, str]]
"""Actions and the repositories they are asked for, as in ``Actor.granted``."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says: whose it is (``None``: nobody's), what proved it, and what was asked and granted.

    ``expires`` is in seconds since 1970.
    """

    account: int | None
    token: int | None
    proof: str
    asked: Pairs
    granted: Pairs
    expires: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A new ticket; ``at`` is when it was made, in seconds since 1970."""

    text: str
    at: int
    expires_in: int


def service_of(settings: ServeSettings) -> str:
    """What the hub calls itself in challenges and tickets: the host of its URL, and the port where one is given."""
    return urlsplit(settings.url).netloc or settings.listen


class Signing:
    """Makes tickets and reads them."""

    def __init__(self, key: bytes, service: str, clock: Callable[[], float]) -> None:
        """``key`` has 32 bytes; ``service`` is issuer and audience; ``clock`` gives seconds since 1970."""
        self.service = service
        self._key, self._clock = OctKey.import_key(key), clock
        self._first = jws.serialize_compact(_HEADER, b"", self._key, [_ALGORITHM]).partition(".")[0] + "."
        self._read: dict[str, Ticket] = {}

    @classmethod
    async def open(cls, database: Database, service: str, clock: Callable[[], float]) -> Self:
        """Sign with the key that the hub's processes share, making it where there is none."""
        text = await database.write(catalog.signing_key, base64.b64encode(secrets.token_bytes(32)).decode())
        return cls(base64.b64decode(text), service, clock)

    def issue(self, actor: Actor, asked: Iterable[tuple[str, str]], granted: Iterable[tuple[str, str]]) -> Issued:
        """Make a ticket for the actor. What it asked for beyond :data:`LONGEST` is left out: it is asked for anew."""
        at = int(self._clock())
        claims: dict[str, Any] = {"iss": self.service, "aud": self.service, "iat": at, "nbf": at, "exp": at + LIFE}
        if actor.id is not None:
            claims["sub"] = str(actor.id)
        if actor.token is not None:
            claims["tok"] = actor.token
        if actor.proof:
            claims["pwd"] = actor.proof
        claims["may"] = _packed(asked, frozenset(granted), LONGEST * 3 // 4 - 100 - len(_dumped(claims)))
        text = jws.serialize_compact(_HEADER, _dumped(claims), self._key, [_ALGORITHM])
        return Issued(text, at, LIFE)

    def read(self, text: str) -> Ticket:
        """What a ticket of ours says, also one that is over: that is for the caller. Unauthenticated for any other."""
        ticket = self._read.get(text)
        if ticket is None:
            ticket = self._verified(text)
            if len(self._read) >= _KEPT:
                self._read.clear()
            self._read[text] = ticket
        return ticket

    def _verified(self, text: str) -> Ticket:
        # As bytes of the text, before anything is decoded: a header of ours has one form.
        if not text.startswith(self._first) or len(text) > LONGEST or not text.isascii():
            raise _invalid()
        try:
            claims = json.loads(jws.deserialize_compact(text, self._key, [_ALGORITHM]).payload)
            ours = claims["iss"] == claims["aud"] == self.service
            begun = claims["nbf"] <= self._clock() + LEEWAY
            account = int(claims["sub"]) if "sub" in claims else None
            asked, granted = _unpacked(claims["may"])
            ticket = Ticket(account, claims.get("tok"), claims.get("pwd", ""), asked, granted, int(claims["exp"]))
        except (JoseError, ValueError, KeyError, TypeError, AttributeError):
            raise _invalid() from None
        if not (ours and begun):
            raise _invalid()
        return ticket


def _packed(asked: Iterable[tuple[str, str]], granted: Pairs, room: int) -> dict[str, list[int]]:
    """Repositories with the bits of what was asked and granted there, as many as ``room`` bytes of JSON hold."""
    packed: dict[str, list[int]] = {}
    for action, name in asked:
        if name not in packed:
            room -= len(name) + 9
            if room < 0:
                continue
            packed[name] = [0, 0]
        packed[name][0] |= _BITS[action]
        packed[name][1] |= _BITS[action] if (action, name) in granted else 0
    return packed


def _unpacked(packed: dict[str, list[int]]) -> tuple[Pairs, Pairs]:
    pairs = [
        frozenset(
            (action, name) for name, found in packed.items() for action, bit in _BITS.items() if found[which] & bit
        )
        for which in (0, 1)
    ]
    return pairs[0], pairs[1]


def _dumped(claims: dict[str, Any]) -> bytes:
    return json.dumps(claims, separators=(",", ":")).encode()


def _invalid() -> Unauthenticated:
    return Unauthenticated("the token is not one of this hub, or is over")
