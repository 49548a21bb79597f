"""Short ways to share a hub's repositories, and to push to them as somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from registry.pushing import CONFIG, chunks, image

from dockyard.errors import DockyardError
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from dockyard.oci.manifest import Manifest
    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub


async def push_as(hub: Hub, actor: Actor, name: str, *layers: bytes, tag: str = "latest") -> Manifest:
    """Push an image of these layers."""
    repository, manifest = RepositoryName(name), image(*layers)
    for content in (CONFIG, *layers):
        upload = await hub.content.begin_upload(actor, repository)
        await hub.content.finish_upload(actor, repository, upload.id, Digest.of(content), chunks(content))
    await hub.content.put_manifest(actor, repository, Tag(tag), manifest.raw, manifest.media_type)
    return manifest


async def make_team(hub: Hub, owner: Actor, name: str, *members: str) -> None:
    """Make the team ``ORG/TEAM`` with these users, who are members of the organisation then."""
    organisation, _, team = name.partition("/")
    await hub.teams.create(owner, organisation, team)
    for member in members:
        await hub.organisations.set_member(owner, organisation, member, owner=False)
        await hub.teams.add(owner, organisation, team, member)


async def may(hub: Hub, actor: Actor, action: Action, name: str) -> bool:
    """Whether the actor may do this to the repository now."""
    return await hub.rights.allowed(actor, action, RepositoryName(name))


async def refused(call: Awaitable[object], kind: type[DockyardError], *words: str) -> None:
    """Await the call and see it raise this very kind, with a message that has all of ``words``."""
    with pytest.raises(kind) as caught:
        await call

    assert type(caught.value) is kind
    assert all(word in caught.value.message for word in words), caught.value.message
