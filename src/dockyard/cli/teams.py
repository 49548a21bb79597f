"""``dockyard team``: teams of an organisation, their members, and the rights that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import command
from dockyard.cli.output import Columns, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = "a team: write it as ORGANISATION/TEAM"
_COLUMNS = Columns(
    {
        "Name": "NAME",
        "Organisation": "ORGANISATION",
        "Team": "TEAM",
        "Members": "MEMBERS",
        "Repositories": "REPOSITORIES",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
    },
    ("Name", "Members", "Repositories", "CreatedSince"),
)


@command("[OPTIONS] ORGANISATION")
@click.argument("organisation")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def ls(hub: hubs.Hub, organisation: str, form: str, quiet: bool) -> None:
    """List the teams of an organisation"""
    from dockyard.content.hub import path

    rows = [
        {
            "Name": f"{item['organisation']}/{item['name']}",
            "Organisation": item["organisation"],
            "Team": item["name"],
            "Members": item["members"],
            "Repositories": item["repositories"],
            "CreatedAt": item["created"],
            "CreatedSince": hubs.since(item["created"]),
        }
        for item in hub.items(path("orgs", organisation, "teams"))
    ]
    if quiet:
        click.echo("".join(f"{plain(row['Name'])}\n" for row in rows), nl=False)
        return
    click.echo(lines(rows, _COLUMNS, form), nl=False)


@command("[OPTIONS] ORGANISATION/TEAM")
@click.argument("team")
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, team: str, form: str) -> None:
    """Create a team"""
    from dockyard.content.hub import path

    organisation, name = hubs.split(team, _FORM)
    made = hub.ask("POST", path("orgs", organisation, "teams"), {"name": name})
    hubs.show(hubs.record(made), form, team)


@command("[OPTIONS] ORGANISATION/TEAM [ORGANISATION/TEAM...]")
@click.argument("teams", nargs=-1, required=True)
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, teams: Sequence[str], form: str) -> int:
    """Remove one or more teams, with the rights that they give"""
    return hubs.each(teams, form, lambda team: hub.ask("DELETE", _path(team)))


@command("[OPTIONS] ORGANISATION/TEAM")
@click.argument("team")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def members(hub: hubs.Hub, team: str, form: str, quiet: bool) -> None:
    """List the members of a team"""
    rows = [{"Name": item["name"]} for item in hub.items(_path(team, "members"))]
    if quiet:
        click.echo("".join(f"{plain(row['Name'])}\n" for row in rows), nl=False)
        return
    click.echo(lines(rows, Columns({"Name": "NAME"}, ("Name",)), form), nl=False)


@command("[OPTIONS] ORGANISATION/TEAM")
@click.argument("team")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def repositories(hub: hubs.Hub, team: str, form: str, quiet: bool) -> None:
    """List the repositories that a team has a right on"""
    rows = list(map(hubs.record, hub.items(_path(team, "repositories"))))
    if quiet:
        click.echo("".join(f"{plain(row['Repository'])}\n" for row in rows), nl=False)
        return
    columns = Columns({"Repository": "REPOSITORY", "Right": "RIGHT"}, ("Repository", "Right"))
    click.echo(lines(rows, columns, form), nl=False)


@command("[OPTIONS] ORGANISATION/TEAM USER")
@click.argument("team")
@click.argument("user")
@hubs.format_option
@hubs.asks_hub
def add(hub: hubs.Hub, team: str, user: str, form: str) -> None:
    """Put a member of the organisation into a team"""
    hub.ask("PUT", _path(team, "members", user))
    hubs.show({"Team": team, "Name": user}, form, f"{user} is in {team}")


@command("[OPTIONS] ORGANISATION/TEAM USER")
@click.argument("team")
@click.argument("user")
@hubs.format_option
@hubs.asks_hub
def remove(hub: hubs.Hub, team: str, user: str, form: str) -> None:
    """Take a user out of a team"""
    hub.ask("DELETE", _path(team, "members", user))
    hubs.show({"Team": team, "Name": user}, form, f"{user} is not in {team} any more")


@command("[OPTIONS] ORGANISATION/TEAM REPOSITORY read|write|admin")
@click.argument("team")
@click.argument("repository")
@click.argument("right", type=hubs.RIGHTS)
@hubs.format_option
@hubs.asks_hub
def grant(hub: hubs.Hub, team: str, repository: str, right: str, form: str) -> None:
    """Give a team a right on a repository of its organisation

    read lets its members pull, write also push, admin also delete, configure and
    grant. A right given before is replaced.
    """
    at, name = hub.repository(repository)
    at.ask("PUT", f"{_path(team, 'repositories')}/{name}", {"right": right})
    hubs.show({"Repository": name, "Team": team, "Right": right}, form, f"{team} has {right} on {name}")


@command("[OPTIONS] ORGANISATION/TEAM REPOSITORY")
@click.argument("team")
@click.argument("repository")
@hubs.format_option
@hubs.asks_hub
def revoke(hub: hubs.Hub, team: str, repository: str, form: str) -> None:
    """Take a team's right on a repository away"""
    at, name = hub.repository(repository)
    at.ask("DELETE", f"{_path(team, 'repositories')}/{name}")
    hubs.show({"Repository": name, "Team": team}, form, f"{team} has no right on {name} any more")


def _path(team: str, *parts: str) -> str:
    from dockyard.content.hub import path

    organisation, name = hubs.split(team, _FORM)
    return path("orgs", organisation, "teams", name, *parts)
