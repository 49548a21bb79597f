"""``dockyard search``: repositories of a hub by what they are called and described as."""

from __future__ import annotations

from typing import Any

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import command
from dockyard.cli.output import Columns, lines
from dockyard.cli.repositories import row

_LONGEST = 45
_COLUMNS = Columns(
    {
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "PushedSince": "PUSHED",
        "Official": "OFFICIAL",
        "Visibility": "VISIBILITY",
        "Right": "RIGHT",
        "Tags": "TAGS",
        "Private": "PRIVATE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "PushedAt": "PUSHED AT",
    },
    ("Name", "Description", "PushedSince", "Official"),
)


@command("[OPTIONS] TERM")
@click.argument("term")
@hubs.list_format_option
@click.option("--limit", type=click.IntRange(min=1), default=25, metavar="int", help="Max number of search results")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def search(hub: hubs.Hub, term: str, form: str, limit: int, no_trunc: bool, quiet: bool) -> None:
    """Search a hub for repositories

    TERM may stand anywhere in the name or the description. What you may not read is
    not found.
    """
    found = hub.items("/search", most=limit, q=term, n=str(min(limit, 100)))
    if quiet:
        click.echo("".join(f"{plain(item['name'])}\n" for item in found), nl=False)
        return
    click.echo(lines([_row(item, no_trunc) for item in found], _COLUMNS, form), nl=False)


def _row(item: hubs.Fields, no_trunc: bool) -> dict[str, Any]:
    text = item["description"]
    shown = text if no_trunc or len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return row(item) | {"Description": shown, "Official": "" if "/" in item["name"] else "[OK]"}
