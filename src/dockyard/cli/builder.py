"""``dockyard builder du`` and ``prune``: what builds keep to be faster the next time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.arguments import filter_option
from dockyard.cli.grammar import command
from dockyard.cli.names import confirmed
from dockyard.cli.output import LIST_FORMAT, Columns, lines
from dockyard.cli.session import Session
from dockyard.cli.units import age, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.engine.cache import CacheRow

COLUMNS = Columns(
    {
        "ID": "CACHE ID", "CacheType": "CACHE TYPE", "Description": "DESCRIPTION", "Size": "SIZE",
        "CreatedSince": "CREATED", "LastUsedSince": "LAST USED", "InUse": "IN USE", "Shared": "SHARED",
        "Reclaimable": "RECLAIMABLE",
    },
    ("ID", "Reclaimable", "Size", "LastUsedSince", "Description"),
)  # fmt: skip
USAGE = Columns(COLUMNS.headers, ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "Shared"))
"""What ``system df -v`` shows of each."""
_SHOWN = 60
"""Characters of a step's text in the table."""
_DANGLING = "WARNING! This will remove all dangling build cache."
_ALL = "WARNING! This will remove all build cache."


@command()
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.pass_obj
def du(session: Session, form: str) -> None:
    """Show what the build cache holds

    SHARED is cache whose layers an image has too: removing it frees nothing.
    """
    found = session.engine.build_cache()
    now = time.time()
    is_table = form in ("", "table")
    click.echo(lines([cache_row(row, now, short=is_table) for row in found], COLUMNS, form), nl=False)
    if is_table:
        shared = sum(row.size for row in found if row.shared)
        reclaimable = sum(row.size for row in found if not row.shared and not row.in_use)
        total = sum(row.size for row in found)
        sums = {"Shared": shared, "Private": total - shared, "Reclaimable": reclaimable, "Total": total}
        click.echo("\n".join(f"{name + ':':<16}{human_size(size)}" for name, size in sums.items()))


@command()
@click.option("-a", "--all", "all_cache", is_flag=True, help="Remove also cache whose layers images have")
@filter_option("until=TIME, when it was last used")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.option("--keep-storage", default="", metavar="bytes", help="Keep that much, what was used last")
@click.pass_obj
def prune(
    session: Session, all_cache: bool, filters: Sequence[tuple[str, str]], force: bool, keep_storage: str
) -> None:
    """Remove build cache

    The next build makes anew what it needs. Images stay as they are.
    """
    keep = _keep(keep_storage)
    if not force and not confirmed(_ALL if all_cache else _DANGLING):
        return
    session.be_root(of_builds=True)
    pruned = session.engine.prune_build_cache(all=all_cache, filters=filters, keep_bytes=keep)
    if pruned.removed:
        click.echo("Deleted build cache objects:")
        click.echo("\n".join(step.deleted for step in pruned.removed) + "\n")
    click.echo(f"Total reclaimed space: {human_size(pruned.reclaimed)}")


def cache_row(row: CacheRow, now: float, *, short: bool = False) -> dict[str, Any]:
    """One record of the build cache for a table."""
    text = " ".join(row.description.split())
    return {
        "ID": row.id[:12] if short else row.id,
        "CacheType": row.kind,
        "Description": f"{text[: _SHOWN - 1]}…" if short and len(text) > _SHOWN else text,
        "Size": human_size(row.size),
        "CreatedSince": age(row.created, now),
        "LastUsedSince": age(row.last_used, now),
        "InUse": _truth(row.in_use),
        "Shared": _truth(row.shared),
        "Reclaimable": _truth(not row.in_use and not row.shared),
    }


def _keep(text: str) -> int | None:
    if not text:
        return None
    from dockyard.cli.build_options import read_size

    return read_size(text, "--keep-storage")


def _truth(value: bool) -> str:
    return "true" if value else "false"
