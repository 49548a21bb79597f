"""docker's command grammar on click: groups load their commands when those are called; usage errors are docker's."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FLAG_ERROR, ERROR = 125, 1
"""Exit codes of docker's command line: a flag it can't read, and anything else."""

_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined, ``module:name``, and the line that its group's help shows."""

    target: str
    help: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A group of commands: its line of help, its entries, and other spellings of some."""

    help: str
    entries: Mapping[str, Entry | Branch]
    aliases: Mapping[str, str]


class Misused(click.UsageError):
    """A command line that makes no sense, with docker's exit code for it."""

    def __init__(self, message: str, *, ctx: click.Context | None = None, code: int = ERROR, hint: str = "") -> None:
        super().__init__(message, ctx)
        self.code = code
        self.hint = hint


class Command(click.Command):
    """One command. ``usage`` is what follows its name in the usage line."""

    def __init__(self, *args: Any, usage: str = "[OPTIONS]", **options: Any) -> None:
        super().__init__(*args, **options)
        self.usage = usage

    def get_help(self, ctx: click.Context) -> str:
        """The whole help text, in docker's layout."""
        from dockyard.cli.help import command_help

        return command_help(self, ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments as docker does, where ``--all=false`` and ``-f=x`` are values of flags."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        words, switched = _take_values(self, ctx, args)
        try:
            rest = super().parse_args(ctx, words)
        except click.UsageError as error:
            _refuse(self, ctx, error)
        ctx.params.update(switched)
        return rest


class Group(click.Group):
    """A group whose commands are imported when they are asked for; its help imports none."""

    def __init__(self, name: str, branch: Branch, **options: Any) -> None:
        options.setdefault("invoke_without_command", True)
        options.setdefault("callback", _show_help)
        super().__init__(name, help=branch.help, context_settings={"help_option_names": ["--help", "-h"]}, **options)
        self.branch = branch

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in order, without the other spellings."""
        return sorted(self.branch.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or ``None``."""
        name = self.branch.aliases.get(cmd_name, cmd_name)
        entry = self.branch.entries.get(name)
        if entry is None:
            return None
        if isinstance(entry, Branch):
            return Group(name, entry)
        module, _, attribute = entry.target.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word means; refuse an unknown one with the nearest known."""
        found = self.get_command(ctx, args[0])
        if found or ctx.resilient_parsing:
            return args[0], found, args[1:]
        near = _nearest(args[0], [*self.branch.entries, *self.branch.aliases], before=f"{ctx.command_path} ")
        raise Misused(f"{ctx.find_root().info_name}: unknown command: {ctx.command_path} {args[0]}", ctx=ctx, hint=near)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read this group's own flags."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _refuse(self, ctx, error)

    def get_help(self, ctx: click.Context) -> str:
        """The whole help text, in docker's layout."""
        from dockyard.cli.help import group_help

        return group_help(self, ctx)


def command(usage: str = "[OPTIONS]") -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function; its docstring is the help, ``usage`` what follows the name."""
    settings = {"help_option_names": ["--help", "-h"]}
    return click.command(cls=Command, usage=usage, context_settings=settings)


def usage_line(found: click.Command, ctx: click.Context) -> str:
    """``Usage:  dockyard image ls [OPTIONS] [REPOSITORY[:TAG]]``."""
    if isinstance(found, Command):
        return f"Usage:  {ctx.command_path} {found.usage}".rstrip()
    return f"Usage:  {ctx.command_path} {'[OPTIONS] ' if len(found.params) > 0 else ''}COMMAND"


def _show_help() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _take_values(found: Command, ctx: click.Context, args: list[str]) -> tuple[list[str], dict[str, bool]]:
    """Take ``--flag=false`` out of the arguments, and ``-f=x`` apart; return what is left and the flags' values."""
    options = {name: param for param in found.params if isinstance(param, click.Option) for name in param.opts}
    words: list[str] = []
    switched: dict[str, bool] = {}
    for place, word in enumerate(args):
        if word == "--":
            return words + args[place:], switched
        name, equals, value = word.partition("=")
        option = options.get(name) if equals else None
        if option is None:
            words.append(word)
        elif option.is_flag:
            if value.lower() not in _TRUTH:
                raise Misused(
                    f'invalid argument "{value}" for "{", ".join(option.opts)}" flag: it is neither true nor false',
                    ctx=ctx,
                    code=FLAG_ERROR,
                )
            switched[str(option.name)] = _TRUTH[value.lower()]
        else:
            words += [word] if name.startswith("--") else [name, value]
    return words, switched


def _refuse(found: click.Command, ctx: click.Context, error: click.UsageError) -> NoReturn:
    """Say what click found wrong as docker says it, with docker's exit code."""
    if isinstance(error, Misused):
        raise error
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        text = f"unknown flag: {name}" if name.startswith("--") else f"unknown shorthand flag: {name[1]!r} in {name}"
        hint = _nearest(name, [known for param in found.params for known in param.opts])
        raise Misused(text, ctx=ctx, code=FLAG_ERROR, hint=hint) from None
    if isinstance(error, click.BadOptionUsage):
        raise Misused(f"flag needs an argument: {error.option_name}", ctx=ctx, code=FLAG_ERROR) from None
    param = error.param if isinstance(error, click.BadParameter) else None
    is_missing = isinstance(error, click.MissingParameter)
    if isinstance(param, click.Option):
        names = ", ".join(param.opts)
        if is_missing:
            raise Misused(f'required flag "{names}" not set', ctx=ctx) from None
        raise Misused(f'invalid argument for "{names}" flag: {error.message}', ctx=ctx, code=FLAG_ERROR) from None
    if param and not is_missing:
        raise Misused(f"invalid argument: {error.message}", ctx=ctx) from None
    raise Misused(f"{ctx.find_root().info_name}: '{ctx.command_path}' {_arity(found)}", ctx=ctx) from None


def _arity(found: click.Command) -> str:
    """How many arguments a command takes: ``requires at least 1 argument``."""
    arguments = [param for param in found.params if isinstance(param, click.Argument)]
    least = sum(max(param.nargs, 1) for param in arguments if param.required)
    many = any(param.nargs < 0 for param in arguments)
    most = sum(param.nargs for param in arguments)
    if not arguments:
        return "accepts no arguments"
    count, how = (least, "at least ") if many else (most, "" if least == most else "at most ")
    if how == "at most " and least:
        return f"requires {least} to {most} arguments"
    return f"requires {how}{count} argument{'' if count == 1 else 's'}"


def _nearest(word: str, known: list[str], *, before: str = "") -> str:
    """``Did you mean 'dockyard image'?``, or nothing where no known word is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1, 0.7)
    return f"Did you mean '{before}{near[0]}'?" if near else ""
