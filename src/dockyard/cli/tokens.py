"""``dockyard token``: personal access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.grammar import command
from dockyard.cli.output import Columns, lines
from dockyard.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCOPES = ("read", "write", "delete", "admin")
_COLUMNS = Columns(
    {
        "ID": "ID",
        "Name": "NAME",
        "Kind": "KIND",
        "Scopes": "SCOPES",
        "CreatedSince": "CREATED",
        "ExpiresIn": "EXPIRES",
        "UsedSince": "LAST USED",
        "CreatedAt": "CREATED AT",
        "ExpiresAt": "EXPIRES AT",
        "UsedAt": "USED AT",
    },
    ("ID", "Name", "Kind", "Scopes", "CreatedSince", "ExpiresIn", "UsedSince"),
)


@command("[OPTIONS] NAME")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    metavar="string",
    help="What it is good for: read, write, delete, admin; may be repeated (default read and write)",
)
@click.option(
    "--expires", type=hubs.DURATION, metavar="duration", help="How long it works, such as 90d (default for ever)"
)
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, name: str, scopes: Sequence[str], expires: int | None, form: str) -> None:
    """Create a personal access token, and print it

    It takes the place of your password, for docker and for scripts. It is printed
    once, alone on standard output:

      dockyard token create laptop | docker login -u ada --password-stdin hub.example.com

    read lets it pull, write also push, delete also delete, and admin everything that
    you may do.
    """
    body: dict[str, Any] = {"name": name, "scopes": list(scopes or ("read", "write"))}
    body |= {"expires_in": expires} if expires else {}
    made = hub.ask("POST", "/account/tokens", body)
    hubs.show_secret(made["token"], made["secret"], form, "Use it as the password of a login")


@command("[OPTIONS]")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show IDs")
@hubs.asks_hub
def ls(hub: hubs.Hub, form: str, quiet: bool) -> None:
    """List your personal access tokens, and the logins that clients keep"""
    found = hub.items("/account/tokens")
    if quiet:
        click.echo("".join(f"{item['id']}\n" for item in found), nl=False)
        return
    click.echo(lines(map(_row, found), _COLUMNS, form), nl=False)


@command("[OPTIONS] ID|NAME [ID|NAME...]")
@click.argument("tokens", nargs=-1, required=True)
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, tokens: Sequence[str], form: str) -> int:
    """Revoke one or more tokens or logins

    They stop working within seconds.
    """
    from dockyard.content.hub import path

    known = hub.items("/account/tokens")

    def revoke(text: str) -> None:
        ids = [item["id"] for item in known if text == str(item["id"])] or [
            item["id"] for item in known if text == item["name"]
        ]
        if not ids:
            raise NotFound(f"no such token: {text}")
        if len(ids) > 1:
            raise Conflict(f"{text} is the name of several tokens", hint=f"Say which: {' '.join(map(str, ids))}")
        hub.ask("DELETE", path("account", "tokens", str(ids[0])))

    return hubs.each(tokens, form, revoke)


def _row(item: hubs.Fields) -> dict[str, Any]:
    return {
        "ID": item["id"],
        "Name": item["name"],
        "Kind": item["kind"],
        "Scopes": ",".join(item["scopes"]),
        "CreatedAt": item["created"],
        "CreatedSince": hubs.since(item["created"]),
        "ExpiresAt": item["expires"] or "",
        "ExpiresIn": hubs.until(item["expires"]),
        "UsedAt": item["used"] or "",
        "UsedSince": hubs.since(item["used"]),
    }
