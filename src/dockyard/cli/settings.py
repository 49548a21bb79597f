"""``dockyard config``: the settings file from the command line."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click

from dockyard.cli.grammar import command
from dockyard.cli.output import LIST_FORMAT, Columns, lines
from dockyard.cli.session import Session
from dockyard.cli.settings_file import remove_setting, write_setting
from dockyard.config import SECTIONS, all_keys, environment_name, resolve, setting

_COLUMNS = Columns(
    {"Key": "KEY", "Value": "VALUE", "Source": "SOURCE", "Variable": "VARIABLE", "Description": "DESCRIPTION"},
    ("Key", "Value", "Source", "Description"),
)


def _complete_key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [key for key in all_keys() if key.startswith(incomplete)]


_key_argument = click.argument("key", shell_complete=_complete_key)


@command("KEY")
@_key_argument
@click.pass_obj
def get(session: Session, key: str) -> None:
    """Print the value of a setting

    It is the value that commands go by: a flag's, else the environment's, else the
    file's, else the default.
    """
    click.echo(_value(session, key))


@command()
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-q", "--quiet", is_flag=True, help="Only show keys")
@click.pass_obj
def ls(session: Session, form: str, quiet: bool) -> None:
    """List settings, their values and where those come from"""
    if quiet:
        click.echo("\n".join(all_keys()))
        return
    click.echo(lines([_row(session, key) for key in all_keys()], _COLUMNS, form), nl=False)


@command("KEY VALUE")
@_key_argument
@click.argument("value")
@click.pass_obj
def set_(session: Session, key: str, value: str) -> None:
    """Write a setting to the settings file

    Comments in the file stay. Lists are written with commas, durations as 12h or 7d.
    """
    write_setting(session.config_file, key, value)


@command("KEY")
@_key_argument
@click.pass_obj
def unset(session: Session, key: str) -> None:
    """Take a setting out of the settings file"""
    remove_setting(session.config_file, key)


def _row(session: Session, key: str) -> dict[str, Any]:
    section, name = setting(key)
    entry = next(entry for entry in fields(SECTIONS[section]) if entry.name == name)
    return {
        "Key": key,
        "Value": _value(session, key),
        "Source": _source(session, key),
        "Variable": environment_name(key),
        "Description": entry.metadata["help"],
    }


def _source(session: Session, key: str) -> str:
    section, name = setting(key)
    table = session.file.get(section, {}) if section else session.file
    if not section and session.flags.get(name) is not None:
        return "flag"
    if session.environ.get(environment_name(key)):
        return "environment"
    return "file" if name.replace("_", "-") in table else "default"


def _value(session: Session, key: str) -> str:
    section, name = setting(key)
    found: Any = session.settings
    if section:
        found = resolve(SECTIONS[section], environ=session.environ, file=session.file)
    value = getattr(found, name)
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
