"""How people come to have accounts: as the first administrator, by invitation, or by signing up."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dockyard.errors import Denied, Invalid, NameUnknown, NotFound
from dockyard.registry import access
from dockyard.registry.access import HUB, Action, Actor
from dockyard.registry.catalog import accounts, codes
from dockyard.registry.names import check_account_name, is_account_name
from dockyard.registry.passwords import check_new
from dockyard.registry.profiles import Invitation, NewInvitation, moment
from dockyard.registry.texts import check_text
from dockyard.registry.tokens import hashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sqlalchemy import Row

    from dockyard.config import ServeSettings
    from dockyard.registry.accounts import Accounts
    from dockyard.registry.database import Database
    from dockyard.registry.limits import Limits
    from dockyard.registry.passwords import Passwords
    from dockyard.registry.rights import Rights

SETUP_MS = 24 * 3600 * 1000
"""How long the code for the first administrator holds."""

INVITATION_MS = 7 * 86400 * 1000
"""How long an invitation holds."""

LONGEST_NOTE = 200


class SignUp:
    """Verbs that make accounts for those who have none. Codes are shown once, and kept as their hashes."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        clock: Callable[[], float],
        settings: ServeSettings,
        *,
        own: Accounts,
        passwords: Passwords,
        limits: Limits,
    ) -> None:
        """``clock`` gives seconds since 1970; ``settings`` say who may sign up, and where the hub is."""
        self._database, self._rights, self._clock = database, rights, clock
        self._signup, self._url = settings.signup, settings.url
        self._accounts, self._passwords, self._limits = own, passwords, limits

    async def setup_code(self) -> str | None:
        """A new code for the first administrator, in place of the one before; ``None`` where there is one."""
        code, now = secrets.token_urlsafe(32), self._now()
        renewed = await self._database.write(codes.renew_setup, hashed(code), now=now, expires=now + SETUP_MS)
        return code if renewed else None

    async def first_administrator(self, code: str, name: str, password: str, *, address: str) -> Actor:
        """Make the first administrator. NotFound for a code that is over; NameInvalid, Invalid, Conflict, TooMany."""
        await self._check_code(address, codes.setup, code)
        kept = await self._new(name, password, address)
        visitor = Actor(None, None, address=address)
        made = await self._database.write(codes.set_up, visitor, hashed(code), name, kept, now=self._now())
        return await self._actor(made, address)

    async def invite(
        self, actor: Actor, *, note: str = "", organisation: str | None = None, as_owner: bool = False
    ) -> NewInvitation:
        """Invite somebody to have an account or, with an organisation, to join that with the account they have.

        For administrators and, unless sign-up is closed, for owners of the organisation. Denied, NameUnknown, Invalid.
        """
        check_text(note, longest=LONGEST_NOTE, what="note")
        await self._require_inviting(actor, organisation)
        if as_owner and organisation is None:
            raise Invalid("an owner owns an organisation: name it")
        code, now = secrets.token_urlsafe(32), self._now()
        made = await self._database.write(
            codes.invite,
            actor,
            hashed(code),
            note=note,
            organisation=organisation,
            as_owner=as_owner,
            now=now,
            expires=now + INVITATION_MS,
        )
        return NewInvitation(_invitation(made), code, f"{self._url}/signup?invitation={code}")

    async def invitations(self, actor: Actor) -> list[Invitation]:
        """Those that nobody has taken: all for administrators, else those into organisations that the actor owns."""
        await self._accounts.require_own(actor, Action.INSPECT)
        return [_invitation(row) for row in await self._database.read(codes.visible, actor, now=self._now())]

    async def withdraw(self, actor: Actor, id: int) -> None:
        """Take an invitation back that the actor sees. NotFound, Denied."""
        await self._accounts.require_own(actor, Action.MANAGE)
        await self._database.write(codes.withdraw, actor, id, now=self._now())

    async def invitation(self, code: str) -> Invitation:
        """What a code invites to. NotFound where it is over."""
        return _invitation(await self._database.read(codes.invitation, hashed(code), now=self._now()))

    async def accept(self, code: str, name: str, password: str, *, address: str) -> Actor:
        """Make an account by an invitation. NotFound where it is over; NameInvalid, Invalid, Conflict, TooMany."""
        await self._check_code(address, codes.invitation, code)
        kept = await self._new(name, password, address)
        visitor = Actor(None, None, address=address)
        closed = self._signup == "closed"
        accept = codes.accept
        made = await self._database.write(accept, visitor, hashed(code), name, kept, closed=closed, now=self._now())
        return await self._actor(made, address)

    async def join(self, actor: Actor, code: str) -> None:
        """Join the organisation that an invitation leads into, as who one is. NotFound, Denied."""
        await self._accounts.require_own(actor, Action.MANAGE)
        await self._database.write(codes.join, actor, hashed(code), now=self._now())

    async def sign_up(self, name: str, password: str, *, address: str) -> Actor:
        """Make an account, where everybody may. Denied, NameInvalid, Invalid, Conflict, TooMany."""
        if self._signup != "open":
            raise Denied("this hub makes no accounts for everybody", hint="Ask an administrator for an invitation.")
        check_account_name(name)
        check_new(name, password)
        await self._limits.sign_up(address)
        kept = await self._passwords.hash(password, address=address)
        visitor = Actor(None, None, address=address)
        add = accounts.add_user
        made = await self._database.write(add, visitor, name, now=self._now(), claim=False, password=kept)
        return await self._actor(made, address)

    async def _require_inviting(self, actor: Actor, organisation: str | None) -> None:
        if organisation is None:
            access.require(actor, Action.ADMINISTER, HUB)
            return
        if not is_account_name(organisation):
            raise NameUnknown("there is no organisation of this name")
        await self._rights.require_account(actor, Action.MANAGE, organisation, "organisation")
        if self._signup == "closed" and not actor.administrator:
            raise Denied("on this hub only administrators invite people")

    async def _check_code(self, address: str, find: Callable[..., object], code: str) -> None:
        """Look whether a code holds, before a password is hashed for it. NotFound, TooMany."""
        await self._limits.check(None, address)
        try:
            await self._database.read(find, hashed(code), now=self._now())
        except NotFound:
            await self._limits.failed(None, address)
            raise

    async def _new(self, name: str, password: str, address: str) -> str:
        """What to keep of a new account's password. NameInvalid, Invalid."""
        check_account_name(name)
        check_new(name, password)
        return await self._passwords.hash(password, address=address)

    async def _actor(self, account: int, address: str) -> Actor:
        actor = await self._rights.actor(account, address=address)
        if actor is None:
            raise NotFound("the account is gone already")
        return actor

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _invitation(row: Row[Any]) -> Invitation:
    times = (moment(row.created), moment(row.expires))
    return Invitation(row.id, row.note, row.organisation, row.as_owner, row.inviter or "", *times)
