"""The hub's verbs over repositories: which there are, what they are like, and who may do what there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Invalid
from dockyard.registry.access import Action, Right
from dockyard.registry.answers import Page
from dockyard.registry.catalog import grants, listing
from dockyard.registry.texts import check_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor
    from dockyard.registry.content import Registry
    from dockyard.registry.profiles import Collaborator, Repository

LONGEST_DESCRIPTION = 1000
"""Characters."""


class Repositories:
    """The repositories of a hub."""

    def __init__(self, content: Registry, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._content, self._database, self._rights, self._clock = content, content.database, content.rights, clock

    async def list(
        self, actor: Actor, *, namespace: str | None = None, query: str = "", after: str = "", limit: int
    ) -> Page[Repository]:
        """Those that the actor may read, by name: in ``namespace``, with ``query`` in the name, after ``after``."""
        return await self._page(actor, namespace, query, after, limit, described=False)

    async def search(self, actor: Actor, text: str, *, after: str = "", limit: int) -> Page[Repository]:
        """The same with ``text`` in the name or the description."""
        return await self._page(actor, None, text, after, limit, described=True)

    async def get(self, actor: Actor, name: RepositoryName) -> Repository:
        """One repository. NameUnknown."""
        await self._rights.require(actor, Action.PULL, name)
        return await self._database.read(listing.find, actor, name)

    async def create(
        self, actor: Actor, name: RepositoryName, *, private: bool | None = None, description: str = ""
    ) -> Repository:
        """Make an empty repository; ``private=None``: as its namespace's account has it. Denied, Conflict, Invalid."""
        await self._rights.require(actor, Action.CREATE, name)
        _check_description(description)
        return await self._database.write(
            listing.create, actor, name, private=private, description=description, now=self._now()
        )

    async def configure(
        self, actor: Actor, name: RepositoryName, *, private: bool | None = None, description: str | None = None
    ) -> Repository:
        """Change what is not ``None``. NameUnknown, Denied, Invalid."""
        await self._rights.require(actor, Action.CONFIGURE, name)
        _check_description(description or "")
        return await self._database.write(
            listing.configure, actor, name, private=private, description=description, now=self._now()
        )

    async def remove(self, actor: Actor, name: RepositoryName) -> None:
        """Remove the repository with all that is in it. NameUnknown, Denied."""
        await self._content.remove(actor, name)

    async def collaborators(self, actor: Actor, name: RepositoryName) -> tuple[Collaborator, ...]:
        """Who has a right there by name or by team. NameUnknown, Denied."""
        await self._rights.require(actor, Action.INSPECT, name)
        return tuple(await self._database.read(grants.collaborators, name))

    async def grant(self, actor: Actor, name: RepositoryName, who: str, right: Right) -> Collaborator:
        """Give a user, or a robot of the namespace, this right in place of the one it had.

        NameUnknown; Denied, also to oneself; Conflict for whom the namespace is; Invalid.
        """
        await self._rights.require(actor, Action.CONFIGURE, name)
        check_right(right)
        return await self._database.write(grants.grant, actor, name, who, right, now=self._now())

    async def revoke(self, actor: Actor, name: RepositoryName, who: str) -> None:
        """Take the right of a user or robot away. NameUnknown, Denied."""
        await self._rights.require(actor, Action.CONFIGURE, name)
        await self._database.write(grants.revoke, actor, name, who, now=self._now())

    async def _page(
        self, actor: Actor, namespace: str | None, text: str, after: str, limit: int, *, described: bool
    ) -> Page[Repository]:
        found = await self._database.read(
            listing.page, actor, namespace=namespace, text=text, described=described, after=after, limit=limit + 1
        )
        return Page(tuple(found[:limit]), 0 < limit < len(found))

    def _now(self) -> int:
        return int(self._clock() * 1000)


def check_right(right: Right) -> None:
    """Raise Invalid for no right at all: that is nothing to give."""
    if right is Right.NONE:
        raise Invalid("a right is read, write or admin", hint="To take a right away, revoke it.")


def _check_description(text: str) -> None:
    check_text(text, longest=LONGEST_DESCRIPTION, what="description")
