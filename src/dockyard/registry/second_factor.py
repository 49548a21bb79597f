"""The second factor: time-based one-time passwords (RFC 6238), and recovery codes for when the device is lost."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyotp

from dockyard.errors import Conflict, Invalid, SecondFactorNeeded, Unauthenticated
from dockyard.registry.access import Action
from dockyard.registry.catalog import accounts as catalog
from dockyard.registry.passwords import Proven
from dockyard.registry.profiles import NewSecondFactor
from dockyard.registry.tokens import hashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.registry.access import Actor
    from dockyard.registry.accounts import Accounts
    from dockyard.registry.database import Database
    from dockyard.registry.passwords import Passwords

STEP_SECONDS = 30
RECOVERY_CODES = 10
PENDING_MS = 5 * 60 * 1000
"""How long a sign-in waits for its code."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class SecondFactor:
    """Turning a second factor on and off, and taking its codes: each time step's once, each recovery code once."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        *,
        accounts: Accounts,
        passwords: Passwords,
        url: str,
    ) -> None:
        """``clock`` gives seconds since 1970; apps show the host of ``url`` beside the account's name."""
        self._database, self._clock, self._accounts, self._passwords = database, clock, accounts, passwords
        self._issuer = urlsplit(url).hostname or "dockyard"

    async def begin(self, actor: Actor, password: str) -> NewSecondFactor:
        """Make a secret, which :meth:`confirm` turns on. Unauthenticated for a wrong password; Conflict, TooMany."""
        account = await self._accounts.require_own(actor, Action.MANAGE)
        await self._passwords.confirm(actor, password)
        secret = pyotp.random_base32()
        await self._database.write(catalog.begin_second_factor, account, secret)
        return NewSecondFactor(secret, pyotp.TOTP(secret).provisioning_uri(name=actor.name, issuer_name=self._issuer))

    async def confirm(self, actor: Actor, code: str) -> list[str]:
        """Turn the second factor on that waits for its first code; return recovery codes. Logins of clients end.

        Invalid for a wrong code; Conflict where none waits.
        """
        account = await self._accounts.require_own(actor, Action.MANAGE)
        row = await self._database.read(catalog.by_id, account)
        if row.totp_secret is None or row.totp_confirmed:
            raise Conflict("no second factor waits to be confirmed")
        step = self._step_of(row.totp_secret, code)
        if step is None:
            raise Invalid("the code is wrong", hint="Check that the clock of the device is right.")
        codes = ["".join(secrets.choice(_LETTERS) for _ in range(16)) for _ in range(RECOVERY_CODES)]
        hashes = [_recovery_hash(account, one) for one in codes]
        change = catalog.confirm_second_factor
        if not await self._database.write(change, actor, account, row.totp_secret, step, hashes, now=self._now()):
            raise Conflict("no second factor waits to be confirmed")
        return ["-".join(one[start : start + 4] for start in range(0, 16, 4)) for one in codes]

    async def disable(self, actor: Actor, password: str, code: str) -> None:
        """Turn the second factor off. Unauthenticated for a wrong password or code; Conflict, TooMany."""
        account = await self._accounts.require_own(actor, Action.MANAGE)
        if not (await self._database.read(catalog.by_id, account)).totp_confirmed:
            raise Conflict("there is no second factor to turn off")
        await self._passwords.confirm(actor, password, further=lambda proven: self.demand(proven, code))
        await self._database.write(catalog.disable_second_factor, actor, account, now=self._now())

    async def demand(self, proven: Proven, code: str | None) -> None:
        """Take a code of the account, where it has a second factor. SecondFactorNeeded, Unauthenticated."""
        if not proven.second_factor:
            return
        if not code or not code.strip():
            expires = self._now() + PENDING_MS
            raise SecondFactorNeeded("a code of the second factor is needed", pending=_pending(proven, expires))
        if not await self._take(proven.id, code):
            raise Unauthenticated("the code is wrong, or was used already")

    async def resume(self, pending: str) -> Proven:
        """Whose password was right when :meth:`demand` said that a code is needed. Unauthenticated where it is over."""
        account, _, rest = pending.partition(".")
        expires = rest.partition(".")[0]
        if len(pending) < 200 and _is_number(account) and _is_number(expires) and int(expires) > self._now():
            row = await self._database.read(catalog.find, int(account))
            if row is not None and row.kind == "user" and row.blocked is None and row.password:
                proven = Proven(row.id, row.name, row.totp_confirmed, row.password)
                if hmac.compare_digest(_pending(proven, int(expires)).encode(), pending.encode(errors="replace")):
                    return proven
        raise Unauthenticated("the sign-in took too long: begin again")

    async def _take(self, account: int, code: str) -> bool:
        row = await self._database.read(catalog.by_id, account)
        step = self._step_of(row.totp_secret, code) if row.totp_secret and row.totp_confirmed else None
        if step is not None:
            return await self._database.write(catalog.use_step, account, row.totp_secret, step)
        return await self._database.write(catalog.use_recovery_code, account, _recovery_hash(account, code))

    def _step_of(self, secret: str, code: str) -> int | None:
        """The time step that the code is of, if it is one around now."""
        digits = "".join(code.split())
        if not (digits.isascii() and digits.isdecimal()):
            return None
        totp, now = pyotp.TOTP(secret), int(self._clock()) // STEP_SECONDS
        steps = (step for step in (now, now - 1, now + 1) if hmac.compare_digest(totp.generate_otp(step), digits))
        return next(steps, None)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _pending(proven: Proven, expires: int) -> str:
    # Keyed with how the password is kept: nobody else knows that, and it is another one once the password is.
    text = f"{proven.id}.{expires}"
    return f"{text}.{hmac.digest(proven.kept.encode(), text.encode(), 'sha256').hex()}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _recovery_hash(account: int, code: str) -> str:
    letters = "".join(letter for letter in code.lower() if letter in _LETTERS)
    return hashed(f"{account}:{letters}")
