"""``dockyard completion``: scripts that let a shell complete our commands, flags and image names."""

from __future__ import annotations

import click

from dockyard.cli.grammar import command


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    found = get_completion_class(shell)
    if found is None:
        raise LookupError(shell)
    name = str(root.info_name)
    return found(root.command, {}, name, f"_{name.upper()}_COMPLETE").source()


@command("")
def bash() -> None:
    """Generate the completion script for bash

    To load it in every session, add to ~/.bashrc:

      source <(dockyard completion bash)
    """
    click.echo(_script("bash"))


@command("")
def fish() -> None:
    """Generate the completion script for fish

    To load it in every session, run once:

      dockyard completion fish > ~/.config/fish/completions/dockyard.fish
    """
    click.echo(_script("fish"))


@command("")
def zsh() -> None:
    """Generate the completion script for zsh

    To load it in every session, add to ~/.zshrc:

      source <(dockyard completion zsh)
    """
    click.echo(_script("zsh"))
