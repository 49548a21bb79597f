"""``dockyard image ls``: the images of this engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.arguments import complete_image, filter_option
from dockyard.cli.grammar import command
from dockyard.cli.output import LIST_FORMAT, Columns, lines
from dockyard.cli.session import Session
from dockyard.cli.units import age, human_size, local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.engine.answers import ImageRow

_HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "CreatedAt": "CREATED AT",
    "Platform": "PLATFORM",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "VIRTUAL SIZE",
}


@command("[OPTIONS] [REPOSITORY[:TAG]]")
@click.argument("pattern", required=False, shell_complete=complete_image)
@click.option("-a", "--all", is_flag=True, help="Show all images; there are no intermediate ones to hide here")
@click.option("--digests", is_flag=True, help="Show digests")
@filter_option("reference=PATTERN, dangling=true, before=IMAGE, since=IMAGE, label=KEY[=VALUE] or until=TIME", "-f")
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@click.pass_obj
def ls(
    session: Session,
    pattern: str | None,
    all: bool,
    digests: bool,
    filters: Sequence[tuple[str, str]],
    form: str,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List images

    REPOSITORY may have the wildcards *, ? and []; without a tag it stands for all
    tags. The list has the images of the current context only.
    """
    wanted = [*filters, ("reference", pattern)] if pattern else filters
    found = session.engine.rows(wanted, digests=digests)
    if quiet and not form:
        click.echo("".join(f"{_id(row, no_trunc)}\n" for row in found), nl=False)
        return
    now = time.time()
    shown = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    columns = Columns(_HEADERS, shown)
    click.echo(lines([_row(row, now, no_trunc) for row in found], columns, form), nl=False)


def _row(row: ImageRow, now: float, no_trunc: bool) -> dict[str, Any]:
    size = human_size(row.size, 3)
    return {
        "Repository": row.repository,
        "Tag": row.tag,
        "Digest": row.digest,
        "ID": _id(row, no_trunc),
        "CreatedSince": age(row.created, now),
        "CreatedAt": local_time(row.created),
        "Size": size,
        "Platform": row.platform,
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "VirtualSize": human_size(row.size),
    }


def _id(row: ImageRow, no_trunc: bool) -> str:
    return str(row.id) if no_trunc else row.id.hex[:12]
