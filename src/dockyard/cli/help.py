"""Help texts in docker's layout."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

import click

from dockyard.cli.grammar import Branch, Command, Entry, Group, Misused, command, usage_line

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 80


def command_help(found: Command, ctx: click.Context) -> str:
    """Usage, description, other spellings and options of one command."""
    parts = [usage_line(found, ctx), _text(found)]
    spellings = _spellings(ctx)
    if len(spellings) > 1:
        parts.append("Aliases:\n  " + ", ".join(spellings))
    if options := options_help(found):
        parts.append("Options:\n" + options)
    return "\n\n".join(parts)


def group_help(found: Group, ctx: click.Context) -> str:
    """Usage, description and commands of a group; for the program itself its groups and global options too."""
    parts = [usage_line(found, ctx), _text(found)]
    groups = {name: entry for name, entry in found.branch.entries.items() if isinstance(entry, Branch)}
    single = {name: entry for name, entry in found.branch.entries.items() if isinstance(entry, Entry)}
    if groups:
        parts.append(_commands("Management Commands", groups))
    parts.append(_commands("Commands", single))
    if ctx.parent is None:
        parts.append("Global Options:\n" + options_help(found))
    parts.append(f"Run '{ctx.command_path} COMMAND --help' for more information on a command.")
    return "\n\n".join(part for part in parts if part)


def options_help(found: click.Command) -> str:
    """The flags of a command, one below the other, texts wrapped."""
    options = sorted_options(found)
    column = max((len(option_flag(option)) for option in options), default=0) + 3
    lines: list[str] = []
    for option in options:
        wrapped = textwrap.wrap(option_text(option), WIDTH - column, break_on_hyphens=False)
        lines += [option_flag(option).ljust(column) + wrapped[0], *(" " * column + line for line in wrapped[1:])]
    return "\n".join(lines)


def sorted_options(found: click.Command) -> list[click.Option]:
    """The flags of a command by their long names."""
    options = [param for param in found.params if isinstance(param, click.Option) and not param.hidden]
    return sorted(options, key=lambda option: option.opts[-1].lstrip("-"))


def option_flag(option: click.Option) -> str:
    """``  -f, --filter filter``: a flag's names and the kind of its value."""
    short = next((name for name in option.opts if not name.startswith("--")), "")
    long = next(name for name in option.opts if name.startswith("--"))
    kind = "" if option.is_flag else f" {option.metavar or 'string'}"
    return f"  {short + ',' if short else '   '} {long}{kind}"


def option_text(option: click.Option) -> str:
    """What a flag does, and its default where that is worth saying."""
    shown = option.default is True or isinstance(option.default, str | int)
    shown = shown and option.default not in (False, "", 0)
    text = str(option.default).lower() if option.default is True else option.default
    return f"{option.help}{f' (default {text})' if shown else ''}"


def spellings(root: Branch, target: str, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """Every path through the groups that leads to a command."""
    for name, entry in root.entries.items():
        if isinstance(entry, Branch):
            yield from spellings(entry, target, (*prefix, name))
        elif entry.target == target:
            yield " ".join((*prefix, name))
            yield from (" ".join((*prefix, other)) for other, meant in root.aliases.items() if meant == name)


def _spellings(ctx: click.Context) -> list[str]:
    root = ctx.find_root()
    if not isinstance(root.command, Group) or ctx.parent is None or not isinstance(ctx.parent.command, Group):
        return []
    here = ctx.parent.command.branch
    entry = here.entries.get(here.aliases.get(str(ctx.info_name), str(ctx.info_name)))
    found = spellings(root.command.branch, entry.target) if isinstance(entry, Entry) else []
    return [f"{root.info_name} {path}" for path in found]


def _text(found: click.Command) -> str:
    return inspect.cleandoc(found.help or "")


def _commands(title: str, entries: dict[str, Branch] | dict[str, Entry]) -> str:
    if not entries:
        return ""
    column = max(map(len, entries)) + 3
    lines = [f"  {name.ljust(column)}{entries[name].help.splitlines()[0]}" for name in sorted(entries)]
    return f"{title}:\n" + "\n".join(lines)


@command("[COMMAND]")
@click.argument("words", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command"""
    at = ctx.find_root()
    for word in words:
        found = at.command.get_command(at, word) if isinstance(at.command, Group) else None
        if found is None:
            raise Misused(f"unknown help topic: {' '.join(words)}")
        at = click.Context(found, parent=at, info_name=word)
    click.echo(at.get_help())
