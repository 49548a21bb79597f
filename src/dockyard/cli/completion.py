"""``dockyard completion``: scripts that let a shell complete our commands, flags and image names."""

from __future__ import annotations

import click

from dockyard.cli.grammar import command

_BASH = r"""_dockyard_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" row value prefix=""
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current="${words[${#words[@]} - 1]}"
    # Bash cuts words at colons, which names of images have, and puts back what is before the last one.
    [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && prefix="${current%"${current##*:}"}"
    COMPREPLY=()
    while IFS= read -r row; do
        value="${row#*,}"
        case "${row%%,*}" in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done < <(
        IFS=$'\n'
        COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _DOCKYARD_COMPLETE=bash_complete "$1"
    )
}

complete -o nosort -F _dockyard_completion dockyard
"""


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
    click.echo(_BASH, nl=False)


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
