"""Repositories and their collaborators."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.oci.reference import RepositoryName, parse_repository
from dockyard.registry.profiles import Collaborator, Repository
from dockyard.web.json.endpoint import Ask, Listing, endpoint, listing
from dockyard.web.json.fields import Line, Paging, RepositoryText, Text, given
from dockyard.web.json.teams import Granted


class RepositoryQuery(Paging, frozen=True, forbid_unknown_fields=True):
    """Which repositories: those of a namespace, and those whose name or description has ``q`` in it."""

    namespace: Annotated[Line, Meta(description="only those of this user or organisation")] = ""
    q: Annotated[Line, Meta(description="only those that this is part of the name or description of")] = ""


class NewRepository(Struct, frozen=True, forbid_unknown_fields=True):
    """A repository to make; without ``private`` it is as its namespace's default says."""

    name: RepositoryText
    private: bool | None = None
    description: Text = ""


class RepositoryChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    private: bool | UnsetType = UNSET
    description: Text | UnsetType = UNSET


@endpoint("GET", "/repositories", "Repositories that one may see, by name", public=True)
async def get_repositories(ask: Ask, query: RepositoryQuery) -> Listing[Repository]:
    """Answer with a page of them."""
    page = await ask.hub.repositories.list(
        ask.actor, namespace=query.namespace or None, query=query.q, after=query.after, limit=query.n
    )
    return listing(page, lambda found: found.name)


@endpoint("POST", "/repositories", "Make a repository", Denied, NotFound, Conflict, status=201,
          location="/repositories/{name}")  # fmt: skip
async def post_repository(ask: Ask, body: NewRepository) -> Repository:
    """Make it."""
    name = parse_repository(body.name)
    return await ask.hub.repositories.create(ask.actor, name, private=body.private, description=body.description)


@endpoint("GET", "/repositories/{repo}", "A repository", NotFound, public=True)
async def get_repository(ask: Ask, repo: RepositoryName) -> Repository:
    """Answer with it."""
    return await ask.hub.repositories.get(ask.actor, repo)


@endpoint("PATCH", "/repositories/{repo}", "Change a repository's visibility or description", Denied, NotFound,
          Conflict)  # fmt: skip
async def patch_repository(ask: Ask, repo: RepositoryName, body: RepositoryChange) -> Repository:
    """Change what the body has."""
    return await ask.hub.repositories.configure(ask.actor, repo, **given(body))


@endpoint("DELETE", "/repositories/{repo}", "Remove a repository with all that is in it", Denied, NotFound)
async def delete_repository(ask: Ask, repo: RepositoryName) -> None:
    """Remove it."""
    await ask.hub.repositories.remove(ask.actor, repo)


@endpoint("GET", "/repositories/{repo}/-/collaborators", "Who has a right on a repository", Denied, NotFound)
async def get_collaborators(ask: Ask, repo: RepositoryName) -> Listing[Collaborator]:
    """Answer with all users, robots and teams."""
    return Listing(list(await ask.hub.repositories.collaborators(ask.actor, repo)))


@endpoint("PUT", "/repositories/{repo}/-/collaborators/{who}", "Give a user or robot a right on a repository", Denied,
          NotFound, Conflict)  # fmt: skip
async def put_collaborator(ask: Ask, repo: RepositoryName, who: str, body: Granted) -> None:
    """Give it, instead of one that they may have had."""
    await ask.hub.repositories.grant(ask.actor, repo, who, body.value)


@endpoint("DELETE", "/repositories/{repo}/-/collaborators/{who}", "Take somebody's right on a repository", Denied,
          NotFound)  # fmt: skip
async def delete_collaborator(ask: Ask, repo: RepositoryName, who: str) -> None:
    """Take it."""
    await ask.hub.repositories.revoke(ask.actor, repo, who)
