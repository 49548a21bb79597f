"""``dockyard image pull``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dockyard.cli.arguments import complete_image, platform_option
from dockyard.cli.grammar import Misused, command
from dockyard.cli.progress import PULL, progress
from dockyard.cli.session import Session
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.content.protocols import Event
    from dockyard.engine.reports import Pulled
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference


@command("[OPTIONS] NAME[:TAG|@DIGEST]")
@click.argument("name", shell_complete=complete_image)
@click.option("-a", "--all-tags", is_flag=True, help="Download all tagged images of the repository")
@click.option("--all-platforms", is_flag=True, help="Download the image of every platform, and keep the index")
@platform_option("Download the image of this platform instead of the context's")
@click.option("-q", "--quiet", is_flag=True, help="Only show the full name of what was pulled")
@click.pass_obj
def pull(
    session: Session, name: str, all_tags: bool, all_platforms: bool, platform: Platform | None, quiet: bool
) -> None:
    """Download an image from a registry

    A download that was cut off goes on where it stopped. Of an image for several
    platforms, the one for the current context comes.
    """
    if platform and all_platforms:
        raise Misused("conflicting options: cannot specify both --platform and --all-platforms")
    named = session.reference(name)
    if all_tags and (named.tag or named.digest):
        raise Invalid("tag can't be used with --all-tags/-a")
    if not quiet and not all_tags and not named.tag and not named.digest:
        click.echo("Using default tag: latest")

    async def fetch(reference: Reference) -> Pulled:
        if quiet:
            return await session.engine.pull(
                reference, session.registry, platform=platform, all_platforms=all_platforms
            )
        return await _pull(session, reference, platform, all_platforms)

    async def run() -> list[Pulled]:
        if not all_tags:
            return [await fetch(session.engine.pull_reference(name))]
        return [await fetch(found) for found in await session.engine.remote_tags(named, session.registry)]

    done = session.move(run())
    if not quiet:
        shown = named if all_tags else done[0].reference
        newer = any(pulled.updated for pulled in done)
        state = "Downloaded newer image for" if newer else "Image is up to date for"
        click.echo(f"Status: {state} {session.familiar(shown)}")
    click.echo(str(named if all_tags else done[0].reference))


async def _pull(session: Session, reference: Reference, platform: Platform | None, all_platforms: bool) -> Pulled:
    """One image with its progress; the heading waits until the registry has shown that it has the image."""
    heading = f"{reference.target if not reference.digest else reference}: Pulling from {reference.repository}"
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            click.echo(heading)

    def before(show: Callable[[Event], None]) -> Callable[[Event], None]:
        def on_event(event: Event) -> None:
            tell()
            show(event)

        return on_event

    with progress(PULL, sys.stdout) as show:
        pulled = await session.engine.pull(
            reference, session.registry, platform=platform, all_platforms=all_platforms, on_event=before(show)
        )
    tell()
    click.echo(f"Digest: {pulled.digest}")
    return pulled
