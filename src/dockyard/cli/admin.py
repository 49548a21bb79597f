"""``dockyard admin``: a hub's users and its audit log, on the machine that has the hub's folder."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli import hubs
from dockyard.cli.grammar import command
from dockyard.cli.hub_folder import data_option, on_hub
from dockyard.cli.names import confirmed
from dockyard.cli.output import LIST_FORMAT, Columns, lines
from dockyard.cli.units import age
from dockyard.config import parse_duration
from dockyard.errors import Invalid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable

    from dockyard.cli.session import Session
    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub
    from dockyard.registry.profiles import AuditEntry, User

_USERS = Columns(
    {
        "Name": "NAME", "FullName": "FULL NAME", "Email": "EMAIL", "Role": "ROLE", "TwoFactor": "TWO-FACTOR",
        "Status": "STATUS", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
    },
    ("Name", "FullName", "Email", "Role", "TwoFactor", "Status", "CreatedSince"),
)  # fmt: skip
_ENTRIES = Columns(
    {
        "ID": "ID", "At": "AT", "Actor": "ACTOR", "Action": "ACTION", "Target": "TARGET", "Detail": "DETAIL",
        "Address": "ADDRESS",
    },
    ("At", "Actor", "Action", "Target", "Detail", "Address"),
)  # fmt: skip
_BATCH = 100

_stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input")
_name_argument = click.argument("name")


@command("[OPTIONS] NAME")
@_name_argument
@click.option("--admin", is_flag=True, help="Make an administrator")
@data_option
@click.option("--email", default="", metavar="string", help="Mail address")
@hubs.format_option
@click.option("--full-name", default="", metavar="string", help="Name as people write it")
@_stdin_option
@click.pass_obj
def add(
    session: Session,
    name: str,
    admin: bool,
    data: str | None,
    email: str,
    form: str,
    full_name: str,
    password_stdin: bool,
) -> None:
    """Make a user

    The password is asked for twice, or read from standard input. With --admin, an
    empty or absent folder becomes a hub's, before its first start.
    """
    given = _password(password_stdin)

    def make(hub: Hub, actor: Actor) -> Awaitable[User]:
        return hub.accounts.create(actor, name, given, administrator=admin, full_name=full_name, email=email)

    hubs.show(_user_row(on_hub(session, data, make, first=admin)), form, name)


@command()
@data_option
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-q", "--quiet", is_flag=True, help="Only show names")
@click.pass_obj
def ls(session: Session, data: str | None, form: str, quiet: bool) -> None:
    """List users"""

    async def find(hub: Hub, actor: Actor) -> list[User]:
        found: list[User] = []
        more = True
        while more:
            page = await hub.accounts.users(actor, after=found[-1].name if found else "", limit=_BATCH)
            found += page.items
            more = page.more
        return found

    users = on_hub(session, data, find)
    if quiet:
        click.echo("".join(f"{user.name}\n" for user in users), nl=False)
        return
    click.echo(lines([_user_row(user) for user in users], _USERS, form), nl=False)


@command("[OPTIONS] NAME")
@_name_argument
@data_option
@hubs.format_option
@click.pass_obj
def block(session: Session, name: str, data: str | None, form: str) -> None:
    """Keep a user out, and remove nothing

    Password, tokens and sessions of the user, and the robots of the user's namespace,
    stop working.
    """
    _set_blocked(session, data, name, True, form)


@command("[OPTIONS] NAME")
@_name_argument
@data_option
@hubs.format_option
@click.pass_obj
def unblock(session: Session, name: str, data: str | None, form: str) -> None:
    """Let a blocked user in again"""
    _set_blocked(session, data, name, False, form)


@command("[OPTIONS] NAME")
@_name_argument
@data_option
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@hubs.format_option
@click.pass_obj
def rm(session: Session, name: str, data: str | None, force: bool, form: str) -> None:
    """Remove a user

    The user's repositories stay, private, and belong to the administrators.
    """
    if not force and not confirmed(f"WARNING! This will remove the user {name} with all tokens, robots and grants."):
        return
    on_hub(session, data, lambda hub, actor: hub.accounts.remove(actor, name))
    hubs.show({"Name": name}, form, name)


@command("[OPTIONS] NAME")
@_name_argument
@data_option
@hubs.format_option
@_stdin_option
@click.pass_obj
def password(session: Session, name: str, data: str | None, form: str, password_stdin: bool) -> None:
    """Give a user another password

    It is asked for twice, or read from standard input. Two-factor authentication is
    turned off, and all sessions and logins of the user end.
    """
    new = _password(password_stdin)
    on_hub(session, data, lambda hub, actor: hub.accounts.set_password(actor, name, new))
    hubs.show({"Name": name}, form, name)


@command()
@data_option
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-n", "--last", "count", type=int, default=100, metavar="int", help="Show that many entries; 0 is all")
@click.option("--since", default="", metavar="string", help="Show what is younger: 2026-01-31, or an age such as 7d")
@click.option("--user", default="", metavar="string", help="Show what this user did")
@click.pass_obj
def audit(session: Session, data: str | None, form: str, count: int, since: str, user: str) -> None:
    """List who changed what, when and from where, the newest first"""
    if count < 0:
        raise Invalid(f"invalid number of entries {count}")
    earliest = _since(since, time.time()) if since else 0.0

    async def find(hub: Hub, actor: Actor) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        before = None
        while True:
            page = await hub.audit.entries(actor, before=before, limit=_BATCH)
            for entry in page.items:
                if entry.at.timestamp() < earliest:
                    return found
                if not user or entry.actor == user:
                    found.append(entry)
                    if len(found) == count:
                        return found
            if not page.more:
                return found
            before = page.items[-1].id

    click.echo(lines([_entry_row(entry) for entry in on_hub(session, data, find)], _ENTRIES, form), nl=False)


def _set_blocked(session: Session, data: str | None, name: str, blocked: bool, form: str) -> None:
    user = on_hub(session, data, lambda hub, actor: hub.accounts.set_blocked(actor, name, blocked))
    hubs.show(_user_row(user), form, name)


def _password(from_stdin: bool) -> str:
    """The password, from a pipe, or asked for twice on a terminal. Invalid."""
    if from_stdin:
        return sys.stdin.read().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Invalid(
            "can't ask for a password: standard input is not a terminal",
            hint="Send the password there, and say --password-stdin.",
        )
    from getpass import getpass

    try:
        given = getpass("Password: ")
        if getpass("Again: ") != given:
            raise Invalid("the two passwords are not the same")
    except EOFError:
        raise KeyboardInterrupt from None
    return given


def _since(text: str, now: float) -> float:
    from dockyard.engine.times import moment

    if found := moment(text):
        return found
    try:
        return now - parse_duration(text)
    except ValueError:
        raise Invalid(f"invalid time {text!r}: it is neither a date such as 2026-01-31 nor an age such as 7d") from None


def _user_row(user: User) -> dict[str, Any]:
    return {
        "Name": user.name,
        "FullName": user.full_name,
        "Email": user.email,
        "Role": "administrator" if user.administrator else "user",
        "TwoFactor": "on" if user.second_factor else "off",
        "Status": "blocked" if user.blocked else "active",
        "CreatedSince": age(user.created.timestamp(), time.time()),
        "CreatedAt": _moment(user.created),
    }


def _entry_row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "ID": entry.id,
        "At": _moment(entry.at),
        "Actor": entry.actor,
        "Action": entry.action,
        "Target": entry.target,
        "Detail": json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "",
        "Address": entry.address,
    }


def _moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
