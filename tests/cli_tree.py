"""Every command of ours, found by walking the command line itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dockyard.cli.grammar import Command, Group
from dockyard.cli.program import NAME, program

if TYPE_CHECKING:
    from collections.abc import Iterator

Words = tuple[str, ...]


def walk(group: Group, words: Words = ()) -> Iterator[tuple[Words, Command | Group]]:
    """Each group and command below, with the words that lead to it."""
    yield words, group
    ctx = click.Context(group, info_name=words[-1] if words else NAME)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        if isinstance(found, Group):
            yield from walk(found, (*words, name))
        elif isinstance(found, Command):
            yield (*words, name), found


TREE = dict(walk(program()))
GROUPS = [words for words, found in TREE.items() if isinstance(found, Group)]
COMMANDS = [words for words, found in TREE.items() if isinstance(found, Command)]
