"""The hub as a whole: its content, and whose it is. One façade for each noun, over one database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dockyard.registry.accounts import Accounts
from dockyard.registry.audit import Audit
from dockyard.registry.content import Registry
from dockyard.registry.credentials import Credentials
from dockyard.registry.limits import Limits
from dockyard.registry.organisations import Organisations
from dockyard.registry.passwords import Hashing, Passwords
from dockyard.registry.repositories import Repositories
from dockyard.registry.robots import Robots
from dockyard.registry.second_factor import SecondFactor
from dockyard.registry.sessions import Sessions
from dockyard.registry.sign_up import SignUp
from dockyard.registry.signing import Signing, service_of
from dockyard.registry.teams import Teams
from dockyard.registry.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from dockyard.config import ServeSettings


class Hub:
    """What the doors of the hub work with. One instance in each process."""

    def __init__(
        self,
        content: Registry,
        settings: ServeSettings,
        clock: Callable[[], float],
        signing: Signing,
        hashing: Hashing,
    ) -> None:
        """Use :meth:`open`."""
        database, rights = content.database, content.rights
        self.settings, self.clock = settings, clock
        self.content, self.rights, self.signing = content, rights, signing
        self._hashing = hashing
        self.limits = Limits(database, clock)
        self.passwords = Passwords(database, self.limits, hashing)
        self.accounts = Accounts(database, rights, clock, passwords=self.passwords)
        self.second_factor = SecondFactor(
            database, clock, accounts=self.accounts, passwords=self.passwords, url=settings.url
        )
        self.sessions = Sessions(
            database,
            rights,
            clock,
            accounts=self.accounts,
            passwords=self.passwords,
            second_factor=self.second_factor,
        )
        self.sign_up = SignUp(
            database, rights, clock, settings, own=self.accounts, passwords=self.passwords, limits=self.limits
        )
        self.tokens = Tokens(database, rights, clock)
        self.organisations = Organisations(database, rights, clock)
        self.teams = Teams(database, rights, clock)
        self.repositories = Repositories(content, clock)
        self.robots = Robots(database, rights, clock)
        self.audit = Audit(database, rights)
        self.credentials = Credentials(database, rights, self.tokens, self.passwords, signing, clock)
        content.write_also(self.tokens.write)

    @classmethod
    async def open(
        cls, settings: ServeSettings, *, clock: Callable[[], float] = time.time, hashing: Hashing | None = None
    ) -> Self:
        """Open the data folder, making and migrating it where needed. Full, Unavailable, SettingInvalid."""
        content = await Registry.open(settings, clock=clock)
        try:
            signing = await Signing.open(content.database, service_of(settings), clock)
        except BaseException:
            await content.close()
            raise
        return cls(content, settings, clock, signing, hashing or Hashing())

    async def close(self) -> None:
        """Write what is pending and let go of everything."""
        await self.content.close()
        self._hashing.close()
