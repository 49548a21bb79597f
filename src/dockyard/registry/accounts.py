"""Users: what they see and set of themselves, and what administrators do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockyard.errors import Conflict, Denied, Invalid, NameUnknown
from dockyard.registry import access
from dockyard.registry.access import ALL_SCOPES, HUB, Action, Actor, Kind
from dockyard.registry.answers import Page
from dockyard.registry.catalog import accounts as catalog
from dockyard.registry.names import check_account_name, is_account_name
from dockyard.registry.passwords import check_new
from dockyard.registry.profiles import OwnAccount, Profile, User, moment, moment_or_none
from dockyard.registry.texts import check_text
from dockyard.registry.tokens import hashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Row

    from dockyard.registry.database import Database
    from dockyard.registry.passwords import Passwords
    from dockyard.registry.rights import Rights

SYSTEM = Actor(None, "dockyard", Kind.USER, administrator=True, scopes=ALL_SCOPES)
"""Who acts from the command line on the hub's own folder."""

LONGEST_NAME = 100
LONGEST_EMAIL = 254
"""Characters of a full name, and of an e-mail address (RFC 5321, section 4.5.3.1.3, less its brackets)."""


class Accounts:
    """Verbs over users. Every change is in the audit log."""

    def __init__(self, database: Database, rights: Rights, clock: Callable[[], float], *, passwords: Passwords) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock, self._passwords = database, rights, clock, passwords

    async def own(self, actor: Actor) -> OwnAccount:
        """The actor's own account. Unauthenticated, Denied."""
        account = await self.require_own(actor, Action.INSPECT)
        return _own(await self._database.read(catalog.by_id, account))

    async def configure(
        self,
        actor: Actor,
        *,
        full_name: str | None = None,
        email: str | None = None,
        default_private: bool | None = None,
    ) -> OwnAccount:
        """Change the own account; what is ``None`` stays. Invalid, Denied."""
        account = await self.require_own(actor, Action.MANAGE)
        values: dict[str, Any] = {}
        if full_name is not None:
            values["full_name"] = check_full_name(full_name)
        if email is not None:
            values["email"] = check_email(email)
        if default_private is not None:
            values["default_private"] = default_private
        if not values:
            return await self.own(actor)
        return _own(await self._database.write(catalog.configure, actor, account, values, now=self._now()))

    async def change_password(self, actor: Actor, current: str, new: str, *, cookie: str | None = None) -> None:
        """Change the own password. All sessions but the one of ``cookie`` end, and the logins that clients keep.

        Invalid for a password that can't be; Unauthenticated where ``current`` is wrong, TooMany, Denied.
        """
        account = await self.require_own(actor, Action.MANAGE)
        check_new(actor.name or "", new)
        await self._passwords.confirm(actor, current)
        password = await self._passwords.hash(new, address=actor.address)
        keep = None if cookie is None else hashed(cookie)
        change = catalog.change_password
        await self._database.write(change, actor, account, password, keep=keep, now=self._now())

    async def profile(self, actor: Actor, name: str) -> Profile:
        """What everybody may see of a user or organisation. NameUnknown."""
        row = await self._database.read(catalog.shown, _known(name))
        return Profile(row.name, row.kind, row.full_name, moment(row.created))

    async def users(self, actor: Actor, *, after: str = "", limit: int) -> Page[User]:
        """All users by name, those after ``after``. Denied."""
        access.require(actor, Action.OVERSEE, HUB)
        rows = await self._database.read(catalog.users, after=after, limit=limit + 1)
        return Page(tuple(_user(row) for row in rows[:limit]), len(rows) > limit)

    async def create(
        self,
        actor: Actor,
        name: str,
        password: str | None,
        *,
        administrator: bool = False,
        full_name: str = "",
        email: str = "",
    ) -> User:
        """Make a user; without a password they can't sign in until they are given one.

        A namespace of the name that belongs to nobody becomes theirs. NameInvalid, Invalid, Conflict, Denied.
        """
        access.require(actor, Action.ADMINISTER, HUB)
        check_account_name(name)
        values: dict[str, Any] = {"full_name": check_full_name(full_name), "email": check_email(email)}
        if password is not None:
            check_new(name, password)
            values["password"] = await self._passwords.hash(password, address=actor.address)
        values |= {"administrator": administrator, "claim": True}
        made = await self._database.write(catalog.add_user, actor, name, now=self._now(), **values)
        return _user(await self._database.read(catalog.by_id, made))

    async def change(
        self, actor: Actor, name: str, *, administrator: bool | None = None, blocked: bool | None = None
    ) -> User:
        """Make a user an administrator or none, keep them out or let them in again; what is ``None`` stays.

        The sessions of who is blocked end at once. NameUnknown, Denied; Conflict for the last administrator.
        """
        access.require(actor, Action.ADMINISTER, HUB)
        change = catalog.change
        about = {"administrator": administrator, "blocked": blocked}
        return _user(await self._database.write(change, actor, _known(name), now=self._now(), **about))

    async def set_blocked(self, actor: Actor, name: str, blocked: bool) -> User:
        """:meth:`change` of one thing."""
        return await self.change(actor, name, blocked=blocked)

    async def set_administrator(self, actor: Actor, name: str, value: bool) -> User:
        """:meth:`change` of one thing."""
        return await self.change(actor, name, administrator=value)

    async def set_password(self, actor: Actor, name: str, password: str) -> None:
        """Give a user a new password; the second factor is off then, and sessions and logins end.

        Invalid, NameUnknown, Denied.
        """
        access.require(actor, Action.ADMINISTER, HUB)
        await self._database.read(catalog.user, _known(name))
        check_new(name, password)
        kept = await self._passwords.hash(password, address=actor.address)
        await self._database.write(catalog.set_password, actor, name, kept, now=self._now())

    async def remove(self, actor: Actor, name: str) -> None:
        """Remove a user. The repositories of the own namespace are the administrators' then, and private.

        NameUnknown, Denied; Conflict for the last administrator.
        """
        access.require(actor, Action.ADMINISTER, HUB)
        await self._database.write(catalog.remove_user, actor, _known(name), now=self._now())

    async def has_administrator(self) -> bool:
        """Whether anybody administers the hub."""
        return await self._database.read(catalog.has_administrator)

    async def ensure_administrator(self, name: str, password: str) -> bool:
        """Make a user who administers the hub, unless there is a user of the name; return whether that was needed.

        NameInvalid, Invalid; Conflict where an organisation has the name.
        """
        if await self._is_user(check_account_name(name)):
            return False
        try:
            await self.create(SYSTEM, name, password, administrator=True)
        except Conflict:
            if await self._is_user(name):  # another process was faster
                return False
            raise
        return True

    async def require_own(self, actor: Actor, action: Action) -> int:
        """The id of the actor's own account, where they may do this to it. Unauthenticated, Denied."""
        place = await self._rights.account(actor, actor.name or "")
        access.require(actor, action, place)
        if actor.kind is not Kind.USER or actor.id is None:
            raise Denied("only users have an account of their own")
        return actor.id

    async def _is_user(self, name: str) -> bool:
        try:
            await self._database.read(catalog.user, name)
        except NameUnknown:
            return False
        return True

    def _now(self) -> int:
        return int(self._clock() * 1000)


def check_full_name(text: str) -> str:
    """Return a full name without spaces around it; it may be empty. Invalid."""
    return check_text(text.strip(), longest=LONGEST_NAME, what="full name")


def check_email(text: str) -> str:
    """Return an e-mail address without spaces around it; it may be empty. Invalid for what is clearly none."""
    text = check_text(text.strip(), longest=LONGEST_EMAIL, what="e-mail address")
    user, _, host = text.rpartition("@")
    if text and not (user and host and " " not in text):
        raise Invalid("that is not an e-mail address")
    return text


def _known(name: str) -> str:
    if not is_account_name(name):
        raise NameUnknown("there is no account of this name")
    return name


def _own(row: Row[Any]) -> OwnAccount:
    flags = (row.default_private, row.administrator, row.totp_confirmed)
    return OwnAccount(row.name, row.full_name, row.email, *flags, moment(row.created))


def _user(row: Row[Any]) -> User:
    about = (row.name, row.full_name, row.email, row.administrator, row.totp_confirmed)
    return User(*about, moment_or_none(row.blocked), moment(row.created))
