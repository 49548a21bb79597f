"""The hub's verbs over organisations and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.registry import access
from dockyard.registry.access import HUB, Action
from dockyard.registry.accounts import check_full_name
from dockyard.registry.catalog import members
from dockyard.registry.names import check_account_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.registry.access import Actor
    from dockyard.registry.database import Database
    from dockyard.registry.profiles import Member, Organisation
    from dockyard.registry.rights import Rights


class Organisations:
    """The organisations of a hub. Who is not in one finds none, but for its :class:`Profile` among the accounts."""

    def __init__(self, database: Database, rights: Rights, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._database, self._rights, self._clock = database, rights, clock

    async def mine(self, actor: Actor) -> list[Organisation]:
        """Those that the actor is in, by name. Unauthenticated."""
        access.require(actor, Action.CATALOG, HUB)
        return await self._database.read(members.of, actor)

    async def get(self, actor: Actor, name: str) -> Organisation:
        """One organisation. NameUnknown."""
        await self._require(actor, Action.VIEW, name)
        return await self._database.read(members.find, actor, name)

    async def create(self, actor: Actor, name: str, *, full_name: str = "") -> Organisation:
        """Make an organisation that the actor owns. Denied, NameInvalid, Invalid; Conflict where the name is taken."""
        access.require(actor, Action.FOUND, HUB)
        check_account_name(name)
        full_name = check_full_name(full_name)
        return await self._database.write(members.create, actor, name, full_name=full_name, now=self._now())

    async def configure(
        self, actor: Actor, name: str, *, full_name: str | None = None, default_private: bool | None = None
    ) -> Organisation:
        """Change what is not ``None``. NameUnknown, Denied, Invalid."""
        await self._require(actor, Action.MANAGE, name)
        if full_name is not None:
            full_name = check_full_name(full_name)
        return await self._database.write(
            members.configure, actor, name, full_name=full_name, default_private=default_private, now=self._now()
        )

    async def remove(self, actor: Actor, name: str) -> None:
        """Take it away with its teams and robots. NameUnknown, Denied; Conflict while it has repositories."""
        await self._require(actor, Action.MANAGE, name)
        await self._database.write(members.remove, actor, name, now=self._now())

    async def members(self, actor: Actor, name: str) -> list[Member]:
        """Who is in it, by name. NameUnknown."""
        await self._require(actor, Action.VIEW, name)
        return await self._database.read(members.members, name)

    async def set_member(self, actor: Actor, name: str, user: str, *, owner: bool) -> Member:
        """Let a user be in it, as owner or not. NameUnknown, Denied; Conflict for its last owner."""
        await self._require(actor, Action.MANAGE, name)
        return await self._database.write(members.set_member, actor, name, user, owner=owner, now=self._now())

    async def remove_member(self, actor: Actor, name: str, user: str) -> None:
        """Take a user out of it and of its teams; members may leave. NameUnknown, Denied; Conflict for its last owner.

        Rights that the user was given by name stay, as those of somebody from outside.
        """
        await self._require(actor, Action.VIEW, name)
        if user == actor.name:
            await self._rights.require_account(actor, Action.MANAGE, user)
        else:
            await self._require(actor, Action.MANAGE, name)
        await self._database.write(members.remove_member, actor, name, user, now=self._now())

    async def _require(self, actor: Actor, action: Action, name: str) -> None:
        await self._rights.require_account(actor, action, name, "organisation")

    def _now(self) -> int:
        return int(self._clock() * 1000)
