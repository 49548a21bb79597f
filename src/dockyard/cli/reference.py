"""The page ``docs/reference/cli.md``, made from the commands themselves: ``python -m dockyard.cli.reference FILE``."""

from __future__ import annotations

import inspect
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dockyard.cli.grammar import Command, Entry, Group, usage_line
from dockyard.cli.help import option_flag, option_text, sorted_options, spellings
from dockyard.cli.program import NAME, program

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """# Command line

<!-- Made by `make docs` from the commands themselves; changes belong there. -->

`dockyard` has docker's grammar: the same commands, flags, tables, prompts and messages, where there is the same thing
to do. A long command and its short form (`dockyard image ls`, `dockyard images`) are one.

**Exit codes**: 0; 1 when something went wrong; 125 for a flag that can't be read; 130 after Ctrl-C. Messages go to
stderr, results to stdout.

**`--format`** takes `table`, `table TEMPLATE`, `json` or a Go template over the fields of a line: `{{.Repository}}`,
`{{json .}}`, `{{if eq .Tag "latest"}}…{{else}}…{{end}}`, `{{range .Config.Env}}{{println .}}{{end}}`,
`{{index .Config.Labels "who"}}`; with the functions `json split join title lower upper pad truncate`
`println print printf len index slice eq ne lt le gt ge and or not`.
"""


def page() -> str:
    """The whole page."""
    root = click.Context(program(), info_name=NAME)
    parts = [_HEAD, "## Global options", _options(root.command)]
    parts += list(_commands(root))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _commands(at: click.Context) -> Iterator[str]:
    group = at.command
    assert isinstance(group, Group)  # noqa: S101 - only groups come here
    for name in group.list_commands(at):
        found = group.get_command(at, name)
        inner = click.Context(found, parent=at, info_name=name) if found else at
        if isinstance(found, Group):
            yield f"## {inner.command_path}\n\n{inspect.cleandoc(found.help or '')}."
            yield from _commands(inner)
        elif isinstance(found, Command) and _is_first(inner):
            yield _command(inner, found)


def _is_first(ctx: click.Context) -> bool:
    """Whether this is the path under which the page describes a command: in its group, where it has one."""
    paths = _paths(ctx)
    longest = max(paths, key=lambda path: len(path.split()))
    grouped = [path for path in paths if len(path.split()) == len(longest.split())]
    return ctx.command_path == grouped[0]


def _paths(ctx: click.Context) -> list[str]:
    root = ctx.find_root().command
    parent = ctx.parent.command if ctx.parent else None
    assert isinstance(root, Group)  # noqa: S101
    assert isinstance(parent, Group)  # noqa: S101
    entry = parent.branch.entries[str(ctx.info_name)]
    return [f"{NAME} {path}" for path in spellings(root.branch, entry.target)] if isinstance(entry, Entry) else []


def _command(ctx: click.Context, found: Command) -> str:
    title, _, more = inspect.cleandoc(found.help or "").partition("\n")
    parts = [f"### {ctx.command_path}", f"{title}.", f"```\n{usage_line(found, ctx).removeprefix('Usage:  ')}\n```"]
    others = [path for path in _paths(ctx) if path != ctx.command_path]
    if others:
        parts.append("Also: " + ", ".join(f"`{path}`" for path in others))
    parts += [_paragraph(text) for text in more.strip("\n").split("\n\n") if text.strip()]
    if options := _options(found):
        parts.append(options)
    return "\n\n".join(parts)


def _paragraph(text: str) -> str:
    """A paragraph of a help text; indented lines are examples or lists, and stay as they are."""
    return f"```\n{textwrap.dedent(text)}\n```" if text.startswith("  ") else text


def _options(found: click.Command) -> str:
    options = sorted_options(found)
    if not options:
        return ""
    rows = [
        f"| `{option_flag(option).strip()}` | {option_text(option).replace('|', chr(92) + '|')} |" for option in options
    ]
    return "\n".join(["| flag | what it does |", "|---|---|", *rows])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
