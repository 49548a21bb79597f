"""Limits on guessing: failed logins are counted in the database, so that more processes allow no more of them.

Nobody is locked out by strangers: what counts against a name from everywhere, or against an address for all names,
holds only for accounts that never logged in from there, and what a limit refused is not counted again. Tokens are not
counted: nobody guesses one.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

from dockyard.registry.catalog import attempts
from dockyard.registry.catalog.attempts import Attempt
from dockyard.registry.names import is_account_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.registry.database import Database

OF_NAME_AT_ADDRESS = 10
OF_ADDRESS = 50
OF_NAME = 100
"""Failed logins in a quarter of an hour: of one name at one address, of one address, and of one name from all
addresses that it never logged in from."""

SIGN_UPS = 10
"""New accounts that one address may make in a quarter of an hour."""

KNOWN_MS = 180 * 86400 * 1000
"""How long an address is known after a login."""

NOTED_MS = 86400 * 1000
"""How old the noted time of an address may be."""


class Limits:
    """What may still be tried. Names that nobody has count as others do."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._clock = database, clock

    async def check(self, name: str | None, address: str) -> None:
        """Raise TooMany where no more logins may be tried; ``name=None``: for what names no account, as codes do."""
        await self._database.read(attempts.check, _login(name, network_of(address)), self._minute())

    async def failed(self, name: str | None, address: str) -> None:
        """Count a failed login."""
        await self._database.write(attempts.add, _login(name, network_of(address)), self._minute())

    async def succeeded(self, account: int, name: str, address: str) -> None:
        """Forget the name's failures at this address, and know the address as the account's."""
        network, now = network_of(address), int(self._clock() * 1000)
        subject = _subject("name at address", name, network)
        if not await self._database.read(attempts.is_noted, subject, account, network, since=now - NOTED_MS):
            await self._database.write(attempts.succeed, subject, account, network, now=now, kept=KNOWN_MS)

    async def sign_up(self, address: str) -> None:
        """Count a new account. TooMany."""
        network = network_of(address)
        attempt = Attempt("", network, {_subject("sign-up", network): SIGN_UPS}, {})
        await self._database.write(attempts.take, attempt, self._minute())

    def _minute(self) -> int:
        return int(self._clock() // 60)


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the network that one customer has, ``2001:db8:1:2::/64``."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _login(name: str | None, network: str) -> Attempt:
    of_address = {_subject("address", network): OF_ADDRESS}
    if name is None:
        return Attempt("", network, of_address, {})
    known = name if is_account_name(name) else ""
    limits = {_subject("name at address", name, network): OF_NAME_AT_ADDRESS}
    return Attempt(known, network, limits, of_address | {_subject("name", name): OF_NAME})


def _subject(*parts: str) -> str:
    # People type passwords where names belong: what they typed is not kept.
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()
