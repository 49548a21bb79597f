"""The whole program: its global flags, and how a run ends."""

from __future__ import annotations

import os
import sys

import click

from dockyard.cli.commands import ROOT
from dockyard.cli.failures import report, report_misuse
from dockyard.cli.grammar import Group
from dockyard.cli.session import Session

NAME = "dockyard"
_COMPLETE = "_DOCKYARD_COMPLETE"


@click.pass_context
def _start(ctx: click.Context, context: str | None, root: str | None, debug: bool, version: bool) -> None:
    ctx.obj = Session(os.environ, {"context": context, "root": root}, debug)
    if version:
        from dockyard.cli.system import our_version

        click.echo(f"{NAME} version {our_version()}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def program() -> Group:
    """The whole command line, as click sees it."""
    options = [
        click.Option(["-c", "--context"], metavar="string", help="Name of the context to use (overrides the setting)"),
        click.Option(["--root"], metavar="string", help="Folder of the local stores (overrides DOCKYARD_ROOT)"),
        click.Option(["-D", "--debug"], is_flag=True, help="Show where in the program an error came from"),
        click.Option(["-v", "--version"], is_flag=True, help="Print the version and quit"),
    ]
    return Group(NAME, ROOT, callback=_start, params=list[click.Parameter](options))


def run(words: list[str]) -> int:
    """Run one command line; return its exit code. Never raises: what goes wrong is said on stderr."""
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(program(), {}, NAME, _COMPLETE, instruction)
    try:
        # Not click's own main, which ends the process itself where a pipe broke.
        with program().make_context(NAME, [*words]) as ctx:
            result = ctx.command.invoke(ctx)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        return report_misuse(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return report(KeyboardInterrupt())
    except (Exception, KeyboardInterrupt) as error:
        if _debugs(words) and not isinstance(error, KeyboardInterrupt | BrokenPipeError):
            import traceback

            traceback.print_exc()
        return report(error)


def _debugs(words: list[str]) -> bool:
    """Whether ``--debug`` stands among the global flags."""
    before = words[: next((place for place, word in enumerate(words) if not word.startswith("-")), len(words))]
    return "--debug" in before or "-D" in before
