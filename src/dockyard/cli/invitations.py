"""``dockyard invite``: invitations, each a link that one person makes an account with or joins an organisation by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.grammar import Misused, command
from dockyard.cli.output import Columns, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS = Columns(
    {
        "ID": "ID",
        "Note": "NOTE",
        "Organisation": "ORGANISATION",
        "Role": "ROLE",
        "Inviter": "INVITED BY",
        "CreatedSince": "CREATED",
        "ExpiresIn": "EXPIRES",
        "CreatedAt": "CREATED AT",
        "ExpiresAt": "EXPIRES AT",
    },
    ("ID", "Note", "Organisation", "Role", "Inviter", "CreatedSince", "ExpiresIn"),
)


@command()
@click.option("--note", default="", metavar="string", help="Whom it is for, as you will see it in the list")
@click.option("--org", "organisation", metavar="string", help="Organisation that they become a member of")
@click.option("--owner", is_flag=True, help="Make them an owner of the organisation")
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, note: str, organisation: str | None, owner: bool, form: str) -> None:
    """Invite somebody, and print the link to send them

    It works once. Administrators invite whom they like; owners of an organisation
    invite to it, where the hub's sign-up allows that.
    """
    if owner and not organisation:
        raise Misused("--owner needs --org", ctx=click.get_current_context())
    body: dict[str, Any] = {"note": note, "as_owner": owner}
    body |= {"organisation": organisation} if organisation else {}
    made = hub.ask("POST", "/invitations", body)
    record = hubs.record(made["invitation"]) | {"Code": made["code"], "URL": made["url"]}
    hubs.show(record, form, made["url"])


@command()
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show IDs")
@hubs.asks_hub
def ls(hub: hubs.Hub, form: str, quiet: bool) -> None:
    """List the invitations that nobody has taken yet"""
    found = hub.items("/invitations")
    if quiet:
        click.echo("".join(f"{item['id']}\n" for item in found), nl=False)
        return
    click.echo(lines(map(_row, found), _COLUMNS, form), nl=False)


@command("[OPTIONS] ID [ID...]")
@click.argument("ids", nargs=-1, required=True)
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, ids: Sequence[str], form: str) -> int:
    """Withdraw one or more invitations"""
    from dockyard.content.hub import path

    return hubs.each(ids, form, lambda id: hub.ask("DELETE", path("invitations", id)))


def _row(item: hubs.Fields) -> dict[str, Any]:
    role = "owner" if item["as_owner"] else "member"
    return {
        "ID": item["id"],
        "Note": item["note"],
        "Organisation": item["organisation"] or "",
        "Role": role if item["organisation"] else "",
        "Inviter": item["inviter"],
        "CreatedAt": item["created"],
        "CreatedSince": hubs.since(item["created"]),
        "ExpiresAt": item["expires"],
        "ExpiresIn": hubs.until(item["expires"]),
    }
