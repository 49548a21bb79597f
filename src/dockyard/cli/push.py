"""``dockyard image push``: upload, or say what an upload would send."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.arguments import complete_image, platform_option
from dockyard.cli.grammar import command
from dockyard.cli.output import Columns, lines
from dockyard.cli.progress import PUSH, progress
from dockyard.cli.session import Session
from dockyard.cli.units import human_size
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.content.plan import Plan
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

_PLAN = Columns({"Layer": "LAYER", "Size": "SIZE", "State": "STATE"}, ("Layer", "Size", "State"))


@command("[OPTIONS] NAME[:TAG]")
@click.argument("name", shell_complete=complete_image)
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of an image to the repository")
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded, and why, and upload nothing")
@platform_option("Push the image of one platform instead of the whole index")
@click.option("-q", "--quiet", is_flag=True, help="Only show the name of what was pushed")
@click.pass_obj
def push(session: Session, name: str, all_tags: bool, dry_run: bool, platform: Platform | None, quiet: bool) -> None:
    """Upload an image to a registry

    The registry is the one in the name. Layers that it has are not sent; an upload
    that was cut off goes on where it stopped.
    """
    named = session.reference(name)
    if named.digest:
        raise Invalid("cannot push a digest reference", hint="Give the image a tag first: dockyard tag IMAGE NAME:TAG")
    if all_tags and named.tag:
        raise Invalid("tag can't be used with --all-tags/-a")
    if not quiet and not all_tags and not named.tag:
        click.echo("Using default tag: latest")
    references = session.engine.push_references(name, all_tags=all_tags)
    if not quiet and not dry_run:
        click.echo(f"The push refers to repository [{named.name}]")
    if dry_run:
        session.move(_plan(session, references, platform))
    else:
        session.move(_push(session, references, platform, quiet))


async def _push(session: Session, references: Sequence[Reference], platform: Platform | None, quiet: bool) -> None:
    for reference in references:
        if quiet:
            await session.engine.push(reference, session.registry, platform=platform)
            click.echo(str(reference))
            continue
        with progress(PUSH, sys.stdout) as show:
            done = await session.engine.push(reference, session.registry, platform=platform, on_event=show)
        click.echo(f"{reference.tag}: digest: {done.digest} size: {done.size}")


async def _plan(session: Session, references: Sequence[Reference], platform: Platform | None) -> None:
    for reference in references:
        plan = await session.engine.plan_push(reference, session.registry, platform=platform)
        click.echo(f"{reference}: {plan.manifest.digest}")
        click.echo(lines(_rows(plan), _PLAN), nl=False)
        count = sum(1 for planned in plan.blobs if planned.bytes)
        click.echo(f"To upload: {human_size(plan.bytes)} in {count} blob{'' if count == 1 else 's'}")


def _rows(plan: Plan) -> list[dict[str, Any]]:
    from dockyard.content.plan import Fate

    said = {
        Fate.KNOWN: "known: already in the repository",
        Fate.UPLOAD: "to upload: the registry does not have it",
        Fate.SKIPPED: "skipped: a foreign layer, which stays where its URLs say",
    }
    rows = []
    for planned in plan.blobs:
        is_config = plan.manifest.config is not None and planned.blob.digest == plan.manifest.config.digest
        state = said.get(planned.fate, f"mountable: {planned.origin} has it")
        label = f"{planned.blob.digest.hex[:12]}{' (config)' if is_config else ''}"
        rows.append({"Layer": label, "Size": human_size(planned.blob.size, 3), "State": state})
    return rows
