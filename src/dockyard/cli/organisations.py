"""``dockyard org``: organisations of a hub and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import Misused, command
from dockyard.cli.output import Columns, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS = Columns(
    {
        "Name": "NAME",
        "FullName": "FULL NAME",
        "Role": "ROLE",
        "Default": "NEW REPOSITORIES",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
    },
    ("Name", "FullName", "Role", "CreatedSince"),
)
_MEMBERS = Columns({"Name": "NAME", "Role": "ROLE"}, ("Name", "Role"))


@command("[OPTIONS]")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def ls(hub: hubs.Hub, form: str, quiet: bool) -> None:
    """List the organisations that you are in"""
    found = hub.items("/orgs")
    if quiet:
        click.echo("".join(f"{plain(item['name'])}\n" for item in found), nl=False)
        return
    rows = [
        {
            "Name": item["name"],
            "FullName": item["full_name"],
            "Role": item["role"] or "",
            "Default": "private" if item["default_private"] else "public",
            "CreatedAt": item["created"],
            "CreatedSince": hubs.since(item["created"]),
        }
        for item in found
    ]
    click.echo(lines(rows, _COLUMNS, form), nl=False)


@command("[OPTIONS] ORGANISATION")
@click.argument("name")
@click.option("--full-name", default="", metavar="string", help="Its name as people write it")
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, name: str, full_name: str, form: str) -> None:
    """Create an organisation, which you own

    It has the namespace of its name: repositories in it are its own.
    """
    hubs.show(hubs.record(hub.ask("POST", "/orgs", {"name": name, "full_name": full_name})), form, name)


@command("[OPTIONS] ORGANISATION")
@click.argument("name")
@click.option("--public", is_flag=True, help="Let everybody pull what is pushed to new repositories")
@click.option("--private", is_flag=True, help="Keep new repositories to those who have a right on them")
@click.option("--full-name", metavar="string", help="Its name as people write it")
@hubs.format_option
@hubs.asks_hub
def set_(hub: hubs.Hub, name: str, public: bool, private: bool, full_name: str | None, form: str) -> None:
    """Change what an organisation's new repositories are, or its full name

    Repositories that are there stay as they are.
    """
    from dockyard.content.hub import path

    changes: dict[str, Any] = {f"default_{key}": value for key, value in hubs.visibility(public, private).items()}
    if full_name is not None:
        changes["full_name"] = full_name
    if not changes:
        raise Misused("nothing to set: give --public, --private or --full-name", ctx=click.get_current_context())
    hubs.show(hubs.record(hub.ask("PATCH", path("orgs", name), changes)), form, name)


@command("[OPTIONS] ORGANISATION [ORGANISATION...]")
@click.argument("names", nargs=-1, required=True)
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, names: Sequence[str], form: str) -> int:
    """Remove one or more organisations that have no repositories"""
    from dockyard.content.hub import path

    return hubs.each(names, form, lambda name: hub.ask("DELETE", path("orgs", name)))


@command("[OPTIONS] ORGANISATION")
@click.argument("name")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def members(hub: hubs.Hub, name: str, form: str, quiet: bool) -> None:
    """List the members of an organisation"""
    from dockyard.content.hub import path

    found = hub.items(path("orgs", name, "members"))
    if quiet:
        click.echo("".join(f"{plain(item['name'])}\n" for item in found), nl=False)
        return
    rows = [{"Name": item["name"], "Role": "owner" if item["owner"] else "member"} for item in found]
    click.echo(lines(rows, _MEMBERS, form), nl=False)


@command("[OPTIONS] ORGANISATION USER")
@click.argument("name")
@click.argument("user")
@click.option("--owner", is_flag=True, help="Let them do everything there, as you may")
@hubs.format_option
@hubs.asks_hub
def add(hub: hubs.Hub, name: str, user: str, owner: bool, form: str) -> None:
    """Make a user a member of an organisation, or an owner

    A member may do what teams give; an owner manages everything. A member is made an
    owner, and an owner a member, by the same command.
    """
    from dockyard.content.hub import path

    hub.ask("PUT", path("orgs", name, "members", user), {"owner": owner})
    role = "owner" if owner else "member"
    made = {"Organisation": name, "Name": user, "Role": role}
    hubs.show(made, form, f"{user} is {'an' if owner else 'a'} {role} of {name}")


@command("[OPTIONS] ORGANISATION USER")
@click.argument("name")
@click.argument("user")
@hubs.format_option
@hubs.asks_hub
def remove(hub: hubs.Hub, name: str, user: str, form: str) -> None:
    """Take a user out of an organisation and its teams

    Members may take themselves out.
    """
    from dockyard.content.hub import path

    hub.ask("DELETE", path("orgs", name, "members", user))
    hubs.show({"Organisation": name, "Name": user}, form, f"{user} is not in {name} any more")
