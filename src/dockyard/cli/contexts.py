"""``dockyard context``: engines on this machine, each with a platform and a store of its own."""

from __future__ import annotations

import platform as machine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.arguments import complete_context, platform_option
from dockyard.cli.failures import say
from dockyard.cli.grammar import command
from dockyard.cli.output import DOCUMENT_FORMAT, LIST_FORMAT, Columns, documents, lines
from dockyard.cli.session import Session
from dockyard.cli.settings_file import remove_setting, write_setting
from dockyard.engine.contexts import DEFAULT, Contexts
from dockyard.errors import Conflict, ContextUnknown, DockyardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.engine.answers import Context
    from dockyard.oci.platform import Platform

_COLUMNS = Columns(
    {"Name": "NAME", "Description": "DESCRIPTION", "Platform": "PLATFORM", "Store": "STORE", "Current": "CURRENT"},
    ("Name", "Description", "Platform", "Store"),
)


@command("[OPTIONS] CONTEXT")
@click.argument("name")
@click.option("--description", default="", metavar="string", help="Description of the context")
@platform_option("Platform of its images, such as windows/amd64 (this machine's where nothing is said)")
@click.pass_obj
def create(session: Session, name: str, description: str, platform: Platform | None) -> None:
    """Create a context

    It has a store of its own, and shows only its own images; a pull takes the image
    for its platform.
    """
    from dockyard.oci.platform import host_platform

    if name == DEFAULT:
        raise Conflict('"default" is a reserved context name')
    _contexts(session).create(name, platform or host_platform("linux", machine.machine()), description=description)
    click.echo(name)
    click.echo(f'Successfully created context "{name}"', err=True)


@command("CONTEXT")
@click.argument("name", shell_complete=complete_context)
@click.pass_obj
def use(session: Session, name: str) -> None:
    """Set the current context

    It is written to the settings file; --context and DOCKYARD_CONTEXT come before it.
    """
    _contexts(session).get(name)
    write_setting(session.config_file, "context", name)
    click.echo(name)
    click.echo(f'Current context is now "{name}"', err=True)
    over = session.environ.get("DOCKYARD_CONTEXT")
    if over and over != name:
        click.echo(f"Warning: DOCKYARD_CONTEXT overrides the setting; it says {over}", err=True)


@command()
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-q", "--quiet", is_flag=True, help="Only show context names")
@click.pass_obj
def ls(session: Session, form: str, quiet: bool) -> None:
    """List contexts"""
    found = _contexts(session).list()
    if quiet:
        click.echo("\n".join(context.name for context in found))
        return
    is_table = form in ("", "table")
    current = session.settings.context
    click.echo(lines([_row(context, current, is_table) for context in found], _COLUMNS, form), nl=False)


@command("[OPTIONS] CONTEXT [CONTEXT...]")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_context)
@click.option("-f", "--force", is_flag=True, help="Also remove the current context")
@click.pass_obj
def rm(session: Session, names: Sequence[str], force: bool) -> int:
    """Remove one or more contexts and their images"""
    failed = False
    for name in names:
        try:
            _remove(session, name, force)
        except DockyardError as error:
            failed = failed or not (force and isinstance(error, ContextUnknown))
            say(f"Error: {error.message}", error.hint)
    return 1 if failed else 0


@command("[OPTIONS] [CONTEXT] [CONTEXT...]")
@click.argument("names", nargs=-1, shell_complete=complete_context)
@click.option("-f", "--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
@click.pass_obj
def inspect(session: Session, names: Sequence[str], form: str) -> int:
    """Display detailed information on one or more contexts

    Without a name it is the current one.
    """
    found: list[dict[str, Any]] = []
    problems: list[ContextUnknown] = []
    for name in names or (session.settings.context,):
        try:
            found.append(_document(_contexts(session).get(name)))
        except ContextUnknown as error:
            problems.append(error)
    click.echo(documents(found, form), nl=False)
    for problem in problems:
        say(f"Error: {problem.message}", problem.hint)
    return 1 if problems else 0


@command("")
@click.pass_obj
def show(session: Session) -> None:
    """Print the name of the current context"""
    click.echo(session.settings.context)


def _contexts(session: Session) -> Contexts:
    return Contexts(Path(session.settings.root))


def _remove(session: Session, name: str, force: bool) -> None:
    is_current = name == session.settings.context
    if is_current and name != DEFAULT and not force:
        raise Conflict(f'context "{name}" is in use, set -f flag to force remove')
    _contexts(session).remove(name)
    if session.file.get("context") == name:
        remove_setting(session.config_file, "context")
    click.echo(name)


def _row(context: Context, current: str, is_table: bool) -> dict[str, Any]:
    mark = " *" if is_table and context.name == current else ""
    return {
        "Name": f"{context.name}{mark}",
        "Description": context.description,
        "Platform": str(context.platform),
        "Store": context.folder,
        "Current": context.name == current,
    }


def _document(context: Context) -> dict[str, Any]:
    return {
        "Name": context.name,
        "Metadata": {"Description": context.description} if context.description else {},
        "Platform": context.platform.fields(),
        "Storage": {"Path": context.folder},
    }
