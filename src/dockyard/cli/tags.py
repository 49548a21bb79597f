"""``dockyard tags``: what a registry has in a repository, and ``tags rm``, which takes a tag away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import Misused, command
from dockyard.cli.output import LIST_FORMAT, Columns, lines
from dockyard.errors import DigestInvalid, Invalid, NameUnknown, NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence


@command("[OPTIONS] REPOSITORY | rm REPOSITORY:TAG [REPOSITORY:TAG...]")
@click.argument("words", nargs=-1, required=True, metavar="REPOSITORY | rm REPOSITORY:TAG")
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@hubs.asks_hub
def tags(hub: hubs.Hub, words: Sequence[str], form: str) -> int:
    """List the tags of a repository in its registry, or remove some

      dockyard tags hub.example.com/team/app
      dockyard tags rm hub.example.com/team/app:1.0 hub.example.com/team/app:1.1

    Removing takes the tag away; what it named stays as long as another tag names it.
    Docker Hub and docker-registry do not remove single tags. The tags of a repository
    that is called rm itself are listed by: dockyard tags rm
    """
    first, *more = words
    if first == "rm" and more:
        return hubs.each(more, form, lambda text: _remove(hub, text))
    if more:
        raise Misused("'dockyard tags' requires 1 argument", ctx=click.get_current_context())
    _list(hub, first, form)
    return 0


def _list(hub: hubs.Hub, repository: str, form: str) -> None:
    import asyncio

    asked, named = hub.reference(repository)
    if named.tag or named.digest:
        raise Invalid(f"{repository!r} names an image, not a repository", hint=f"Try: dockyard tags {named.name}")

    async def show() -> None:
        async with asked.session.registry(asked.host, insecure=asked.insecure) as client:
            found = client.repository(named.repository).tags()
            if form:
                rows = [{"Name": tag} async for tag in found]
                click.echo(lines(rows, Columns({"Name": "NAME"}, ("Name",)), form), nl=False)
                return
            async for tag in found:
                click.echo(plain(tag))

    asyncio.run(show())


def _remove(hub: hubs.Hub, text: str) -> None:
    import asyncio

    asked, named = hub.reference(text)
    if named.digest or not named.tag:
        what = "an image by its digest" if named.digest else "a repository"
        raise Invalid(f"{text!r} names {what}, not a tag", hint=f"Try: dockyard tags rm {named.name}:TAG")
    tag = named.tag

    async def remove() -> None:
        async with asked.session.registry(asked.host, insecure=asked.insecure) as client:
            await client.repository(named.repository).delete(tag)

    try:
        asyncio.run(remove())
    except (Unsupported, DigestInvalid):
        # docker-registry 2.8 takes whatever stands there for a digest.
        raise Unsupported(
            f"{named.registry} can't remove a tag by its name",
            hint="Registries of this kind only remove whole images by digest, with all their tags.",
        ) from None
    except NotFound as error:
        if isinstance(error, NameUnknown):
            raise
        raise NotFound(f"no such tag: {named}") from error
