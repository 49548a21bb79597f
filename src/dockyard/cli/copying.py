"""``dockyard copy``: images from anywhere to anywhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dockyard.cli.arguments import platform_option
from dockyard.cli.grammar import Misused, command
from dockyard.cli.places import Place, opened_sink, opened_source, parse_destination, parse_source
from dockyard.cli.progress import COPY, progress
from dockyard.cli.session import Session
from dockyard.cli.units import human_size
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dockyard.content.copy import Copied
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import RepositoryName


@command("[OPTIONS] SOURCE DESTINATION")
@click.argument("source")
@click.argument("destination")
@click.option("--all-platforms", is_flag=True, help="Copy the images of every platform; the default, except to engine:")
@click.option("--insecure", is_flag=True, help="Allow plain HTTP and any certificate")
@platform_option("Copy the image of this platform instead of the whole index")
@click.option("-q", "--quiet", is_flag=True, help="Only show the digest of what was copied")
@click.pass_obj
def copy(
    session: Session,
    source: str,
    destination: str,
    all_platforms: bool,
    insecure: bool,
    platform: Platform | None,
    quiet: bool,
) -> None:
    """Copy an image from anywhere to anywhere

    SOURCE and DESTINATION are one of:

      docker://NAME[:TAG|@DIGEST]   a registry
      engine:NAME[:TAG]             the store of the current context
      oci:FOLDER[:NAME]             an OCI image layout
      oci-archive:FILE[:NAME]       an OCI image layout in a tar
      docker-archive:FILE[:NAME]    a tar as docker save makes it

    What the destination has is not sent again; between repositories of one registry
    layers are mounted.
    """
    if platform and all_platforms:
        raise Misused("conflicting options: cannot specify both --platform and --all-platforms")
    origin, target = parse_source(session, source), parse_destination(session, destination)
    done = session.move(_copy(session, origin, target, platform, all_platforms, insecure, quiet))
    if quiet:
        click.echo(str(done.manifest.digest))
        return
    parts = [f"{human_size(done.sent)} sent"]
    for count, what in ((done.existed, "already there"), (done.mounted, "mounted"), (done.skipped, "skipped")):
        parts += [f"{count} {what}"] if count else []
    click.echo(f"Digest: {done.manifest.digest}")
    click.echo(f"Copied to {destination}: {', '.join(parts)}")


async def _copy(
    session: Session,
    origin: Place,
    target: Place,
    asked: Platform | None,
    all_platforms: bool,
    insecure: bool,
    quiet: bool,
) -> Copied:
    from dockyard.content import copy as transfer
    from dockyard.content.fit import refuse_misfit

    def neighbours(_: Digest) -> Iterable[RepositoryName]:
        from_, to = origin.reference, target.reference
        is_near = from_ and to and from_.registry == to.registry and origin.kind == target.kind == "docker"
        return [from_.repository] if from_ and is_near else []

    name = origin.name if origin.name is not None else ""
    to = target.name if isinstance(target.name, str) else None
    platform = asked or (session.engine.context.platform if target.kind == "engine" and not all_platforms else None)
    async with (
        opened_source(session, origin, insecure=insecure) as source,
        opened_sink(session, target, insecure=insecure) as sink,
    ):
        if asked:
            await refuse_misfit(source, await source.manifest(name), asked, name or origin.path)
        if target.reference and target.reference.digest:
            found = await transfer.load(source, name, platform)
            if found.target.digest != target.reference.digest:
                raise Invalid(f"the image is {found.target.digest}, and can't be called {target.reference}")
        if quiet:
            return await transfer.copy(source, sink, name, to=to, platform=platform, origins=neighbours)
        with progress(COPY, sys.stdout) as show:
            return await transfer.copy(source, sink, name, to=to, platform=platform, origins=neighbours, on_event=show)
