"""``dockyard robot``: accounts for machines, limited to repositories and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import command
from dockyard.cli.output import Columns, lines
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = "a robot: write it as NAMESPACE/NAME"
_COLUMNS = Columns(
    {
        "Name": "NAME",
        "Namespace": "NAMESPACE",
        "Rights": "RIGHTS",
        "CreatedSince": "CREATED",
        "ExpiresIn": "EXPIRES",
        "UsedSince": "LAST USED",
        "CreatedAt": "CREATED AT",
        "ExpiresAt": "EXPIRES AT",
        "UsedAt": "USED AT",
    },
    ("Name", "Rights", "CreatedSince", "ExpiresIn", "UsedSince"),
)


@command("[OPTIONS] NAMESPACE/NAME")
@click.argument("robot")
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    required=True,
    metavar="REPOSITORY[:RIGHT]",
    help="Repository that it may reach; may be repeated, with a right of its own after a colon",
)
@click.option("--right", type=hubs.RIGHTS, default="read", metavar="string", help="Its right there: read, write, admin")
@click.option(
    "--expires", type=hubs.DURATION, metavar="duration", help="How long it works, such as 90d (default for ever)"
)
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, robot: str, repositories: Sequence[str], right: str, expires: int | None, form: str) -> None:
    """Create a robot, and print its password

    It logs in as NAMESPACE+NAME, with what is printed here and never again:

      dockyard robot create acme/ci --repo acme/app --right write > secret
      docker login -u acme+ci --password-stdin hub.example.com < secret
    """
    namespace, name = hubs.split(robot, _FORM)
    grants = []
    for text in repositories:
        hub, named = hub.reference(text)
        if named.digest or (named.tag and named.tag not in hubs.RIGHTS.choices):
            raise Invalid(f"{text!r} is not a repository with a right", hint=f"Write it as {named.repository}:write")
        grants.append({"repository": named.repository, "right": named.tag or right})
    body: dict[str, Any] = {"namespace": namespace, "name": name, "grants": grants}
    body |= {"expires_in": expires} if expires else {}
    made = hub.ask("POST", "/robots", body)
    hubs.show_secret(made["robot"], made["secret"], form, f"Log in as {made['robot']['name']}, with this password")


@command("[OPTIONS] NAMESPACE")
@click.argument("namespace")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def ls(hub: hubs.Hub, namespace: str, form: str, quiet: bool) -> None:
    """List the robots of a namespace"""
    found = hub.items("/robots", namespace=namespace)
    if quiet:
        click.echo("".join(f"{plain(item['name'])}\n" for item in found), nl=False)
        return
    click.echo(lines(map(_row, found), _COLUMNS, form), nl=False)


@command("[OPTIONS] NAMESPACE/NAME [NAMESPACE/NAME...]")
@click.argument("robots", nargs=-1, required=True)
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, robots: Sequence[str], form: str) -> int:
    """Remove one or more robots"""
    from dockyard.content.hub import path

    def remove(robot: str) -> None:
        namespace, name = hubs.split(robot.replace("+", "/"), _FORM)
        hub.ask("DELETE", path("robots", f"{namespace}+{name}"))

    return hubs.each(robots, form, remove)


def _row(item: hubs.Fields) -> dict[str, Any]:
    return {
        "Name": item["name"],
        "Namespace": item["namespace"],
        "Rights": ", ".join(f"{grant['repository']}:{grant['right']}" for grant in item["grants"]),
        "CreatedAt": item["created"],
        "CreatedSince": hubs.since(item["created"]),
        "ExpiresAt": item["expires"] or "",
        "ExpiresIn": hubs.until(item["expires"]),
        "UsedAt": item["used"] or "",
        "UsedSince": hubs.since(item["used"]),
    }
