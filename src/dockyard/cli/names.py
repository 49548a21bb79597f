"""``dockyard image tag``, ``rm`` and ``prune``: names given and taken away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dockyard.cli.arguments import complete_image, filter_option
from dockyard.cli.failures import plain, say
from dockyard.cli.grammar import command
from dockyard.cli.session import Session
from dockyard.cli.units import human_size
from dockyard.errors import DockyardError, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

_DANGLING = "WARNING! This will remove all dangling images."
_ALL = "WARNING! This will remove all images that no container uses."


@command("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]")
@click.argument("source", shell_complete=complete_image)
@click.argument("target", shell_complete=complete_image)
@click.pass_obj
def tag(session: Session, source: str, target: str) -> None:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE

    A tag is an alias: nothing is copied. The source is a name, an ID or its first
    digits.
    """
    session.engine.tag(source, target)


@command("[OPTIONS] IMAGE [IMAGE...]")
@click.argument("images", nargs=-1, required=True, shell_complete=complete_image)
@click.option("-f", "--force", is_flag=True, help="Remove an image that has several names, by its ID")
@click.pass_obj
def rm(session: Session, images: Sequence[str], force: bool) -> int:
    """Remove one or more images

    A name is taken away; content goes when nothing names it any more. Layers that
    other images have too stay.
    """
    session.be_root(of_builds=True)
    failed = False
    for image in images:
        try:
            for step in session.engine.remove(image, force=force):
                click.echo(str(step))
        except DockyardError as error:
            say(f"Error: {error.message}", error.hint)
            failed = failed or not (force and isinstance(error, NotFound))
    return 1 if failed else 0


@command()
@click.option("-a", "--all", "all_unused", is_flag=True, help="Remove all images without a container, also named ones")
@filter_option("until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.pass_obj
def prune(session: Session, all_unused: bool, filters: Sequence[tuple[str, str]], force: bool) -> None:
    """Remove unused images

    Without --all these are the dangling ones, which have no name, and what
    transfers that were cut off have left.
    """
    if not force and not confirmed(_ALL if all_unused else _DANGLING):
        return
    session.be_root(of_builds=True)
    pruned = session.engine.prune(all_unused=all_unused, filters=filters)
    if pruned.removed:
        click.echo("Deleted Images:")
        for step in pruned.removed:
            click.echo(f"untagged: {step.untagged}" if step.untagged else f"deleted: {step.deleted}")
        click.echo()
    click.echo(f"Total reclaimed space: {human_size(pruned.reclaimed)}")


def confirmed(warning: str) -> bool:
    """Ask as docker asks; only ``y`` is yes."""
    click.echo(f"{plain(warning)}\nAre you sure you want to continue? [y/N] ", nl=False)
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo()
    return answer.strip().lower() in ("y", "yes")
