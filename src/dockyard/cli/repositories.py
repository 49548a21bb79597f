"""``dockyard repo``: the repositories of a hub, and who may do what with them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.failures import plain
from dockyard.cli.grammar import Misused, command
from dockyard.cli.output import DOCUMENT_FORMAT, Columns, documents, lines
from dockyard.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.oci.reference import RepositoryName

_COLUMNS = Columns(
    {
        "Name": "NAME",
        "Visibility": "VISIBILITY",
        "Right": "RIGHT",
        "Tags": "TAGS",
        "PushedSince": "PUSHED",
        "Description": "DESCRIPTION",
        "Private": "PRIVATE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "PushedAt": "PUSHED AT",
    },
    ("Name", "Visibility", "Right", "Tags", "PushedSince"),
)
_COLLABORATORS = Columns({"Name": "NAME", "Kind": "KIND", "Right": "RIGHT"}, ("Name", "Kind", "Right"))


@command("[OPTIONS] [NAMESPACE]")
@click.argument("namespace", required=False)
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def ls(hub: hubs.Hub, namespace: str | None, form: str, quiet: bool) -> None:
    """List the repositories of a hub that you may read

    With NAMESPACE only those of one user or organisation.
    """
    from dockyard.content.hub import PAGE

    found = hub.items("/repositories", namespace=namespace or "", n=PAGE)
    if quiet:
        click.echo("".join(f"{plain(item['name'])}\n" for item in found), nl=False)
        return
    click.echo(lines(map(row, found), _COLUMNS, form), nl=False)


@command("[OPTIONS] NAMESPACE/REPOSITORY")
@click.argument("repository")
@click.option("--public", is_flag=True, help="Let everybody pull")
@click.option("--private", is_flag=True, help="Let only those pull who have a right on it")
@click.option("--description", default="", metavar="string", help="What is in it, in a line")
@hubs.format_option
@hubs.asks_hub
def create(hub: hubs.Hub, repository: str, public: bool, private: bool, description: str, form: str) -> None:
    """Create a repository

    Without --public or --private its namespace's default decides. A first push makes
    a repository too.
    """
    at, name = hub.repository(repository)
    made = at.ask(
        "POST", "/repositories", {"name": name, "description": description, **hubs.visibility(public, private)}
    )
    hubs.show(hubs.record(made), form, name)


@command("[OPTIONS] NAMESPACE/REPOSITORY [NAMESPACE/REPOSITORY...]")
@click.argument("repositories", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Do not ask")
@hubs.format_option
@hubs.asks_hub
def rm(hub: hubs.Hub, repositories: Sequence[str], force: bool, form: str) -> int:
    """Remove one or more repositories with all their tags and images

    At a terminal each name has to be typed once more.
    """
    from dockyard.content.hub import repository_path

    def remove(text: str) -> None:
        at, name = hub.repository(text)
        if not force:
            _ask_for_name(name, at.host)
        at.ask("DELETE", repository_path(name))

    return hubs.each(repositories, form, remove)


@command("[OPTIONS] NAMESPACE/REPOSITORY")
@click.argument("repository")
@click.option("--public", is_flag=True, help="Let everybody pull")
@click.option("--private", is_flag=True, help="Let only those pull who have a right on it")
@click.option("--description", metavar="string", help="What is in it, in a line")
@hubs.format_option
@hubs.asks_hub
def set_(hub: hubs.Hub, repository: str, public: bool, private: bool, description: str | None, form: str) -> None:
    """Change who may read a repository, or its description"""
    from dockyard.content.hub import repository_path

    changes: dict[str, Any] = hubs.visibility(public, private)
    if description is not None:
        changes["description"] = description
    if not changes:
        raise Misused("nothing to set: give --public, --private or --description", ctx=click.get_current_context())
    at, name = hub.repository(repository)
    hubs.show(hubs.record(at.ask("PATCH", repository_path(name), changes)), form, name)


@command("[OPTIONS] NAMESPACE/REPOSITORY [NAMESPACE/REPOSITORY...]")
@click.argument("repositories", nargs=-1, required=True)
@click.option("-f", "--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
@hubs.asks_hub
def inspect(hub: hubs.Hub, repositories: Sequence[str], form: str) -> None:
    """Display detailed information on one or more repositories"""
    from dockyard.content.hub import repository_path

    found = []
    for text in repositories:
        at, name = hub.repository(text)
        found.append(hubs.record(at.ask("GET", repository_path(name))))
    click.echo(documents(found, form), nl=False)


@command("[OPTIONS] NAMESPACE/REPOSITORY")
@click.argument("repository")
@hubs.list_format_option
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@hubs.asks_hub
def collaborators(hub: hubs.Hub, repository: str, form: str, quiet: bool) -> None:
    """List who has been given a right on a repository

    These are users, teams and robots. Owners of the namespace need none.
    """
    from dockyard.content.hub import repository_path

    at, name = hub.repository(repository)
    found = list(map(hubs.record, at.items(repository_path(name, "collaborators"))))
    if quiet:
        click.echo("".join(f"{plain(one['Name'])}\n" for one in found), nl=False)
        return
    click.echo(lines(found, _COLLABORATORS, form), nl=False)


@command("[OPTIONS] NAMESPACE/REPOSITORY USER read|write|admin")
@click.argument("repository")
@click.argument("user")
@click.argument("right", type=hubs.RIGHTS)
@hubs.format_option
@hubs.asks_hub
def grant(hub: hubs.Hub, repository: str, user: str, right: str, form: str) -> None:
    """Give a user or robot a right on a repository

    read lets them pull, write also push, admin also delete, configure and grant. A
    right given before is replaced.
    """
    from dockyard.content.hub import repository_path

    at, name = hub.repository(repository)
    at.ask("PUT", repository_path(name, "collaborators", user), {"right": right})
    hubs.show({"Repository": name, "Name": user, "Right": right}, form, f"{user} has {right} on {name}")


@command("[OPTIONS] NAMESPACE/REPOSITORY USER")
@click.argument("repository")
@click.argument("user")
@hubs.format_option
@hubs.asks_hub
def revoke(hub: hubs.Hub, repository: str, user: str, form: str) -> None:
    """Take a user's or robot's right on a repository away"""
    from dockyard.content.hub import repository_path

    at, name = hub.repository(repository)
    at.ask("DELETE", repository_path(name, "collaborators", user))
    hubs.show({"Repository": name, "Name": user}, form, f"{user} has no right on {name} any more")


def row(item: hubs.Fields) -> dict[str, Any]:
    """A line of a list of repositories."""
    return {
        "Name": item["name"],
        "Visibility": "private" if item["private"] else "public",
        "Private": item["private"],
        "Right": item["right"],
        "Tags": item["tags"],
        "Description": item["description"],
        "CreatedAt": item["created"],
        "CreatedSince": hubs.since(item["created"]),
        "PushedAt": item["pushed"] or "",
        "PushedSince": hubs.since(item["pushed"]),
    }


def _ask_for_name(name: RepositoryName, host: str) -> None:
    """Let a person type what is going to be lost; raise Denied where they don't, or where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Denied(f"{name} was not removed: there is no terminal to ask at", hint="Give -f to remove it unasked.")
    click.echo(f"WARNING! This will remove {name} from {host}, with all its tags and images.", err=True)
    click.echo("Type its name to go on: ", nl=False, err=True)
    if sys.stdin.readline().strip() != name:
        raise Denied(f"{name} was not removed: that is not its name")
