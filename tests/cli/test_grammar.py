"""docker's grammar: what ours has of docker's commands and flags, and what a wrong command line is told."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import click
import pytest
from cli_tree import COMMANDS, TREE
from servers import plain_environment, run

from dockyard.cli.commands import ROOT
from dockyard.cli.grammar import Branch, Command, Entry
from dockyard.cli.help import option_flag, spellings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Machine

# docker's commands that ours has, and docker's flags that make no sense without its daemon, Notary, containers, or the
# Kubernetes that version 20.10 knew: which of them are there depends on docker's version.
OURS = {"admin", "config", "copy", "help", "invite", "org", "repo", "robot", "search", "serve", "tags", "team", "token"}
DOCKERS = [words for words in COMMANDS if words[0] not in OURS and words != ("builder", "du")]
WITHOUT = {
    # Limits that a build has not, what the builder before BuildKit needed, and what only a remote builder has.
    ("build",): {
        "--cgroup-parent",
        "--cpu-period",
        "--cpu-quota",
        "--cpu-shares",
        "--cpuset-cpus",
        "--cpuset-mems",
        "--memory",
        "--memory-swap",
        "--security-opt",
        "--ulimit",
        "--isolation",
        "--compress",
        "--disable-content-trust",
        "--force-rm",
        "--rm",
        "--squash",
        "--stream",
        "--allow",
        "--annotation",
        "--attest",
        "--builder",
        "--call",
        "--debug",
        "--no-cache-filter",
        "--provenance",
        "--sbom",
    },
    ("builder", "prune"): {"--builder", "--max-used-space", "--min-free-space", "--reserved-space", "--verbose"},
    ("image", "ls"): {"--tree"},
    ("push",): {"--disable-content-trust"},
    ("pull",): {"--disable-content-trust"},
    ("rmi",): {"--no-prune", "--platform"},
    ("image", "inspect"): {"--platform"},
    ("inspect",): {"--platform", "--size", "--type"},
    ("history",): {"--platform"},
    ("context", "create"): {"--docker", "--from", "--default-stack-orchestrator", "--kubernetes"},
    ("version",): {"--kubeconfig"},
    ("completion", "bash"): {"--no-descriptions"},
    ("completion", "fish"): {"--no-descriptions"},
    ("completion", "zsh"): {"--no-descriptions"},
}
SHORT = {"images": ("image", "ls")} | {("rmi" if verb == "rm" else verb): ("image", verb) for verb in ROOT.entries}


def entries(branch: Branch, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Entry]]:
    for name, entry in branch.entries.items():
        if isinstance(entry, Branch):
            yield from entries(entry, (*words, name))
        else:
            yield (*words, name), entry


ENTRIES = dict(entries(ROOT))


def options(words: tuple[str, ...]) -> list[click.Option]:
    return [param for param in TREE[words].params if isinstance(param, click.Option)]


def docker_flags(words: tuple[str, ...]) -> dict[str, str]:
    """The long flags of one of docker's commands, each with its short form."""
    text = subprocess.run(["docker", *words, "--help"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", text.partition("Options:")[2], re.MULTILINE)
    return {long: short for short, long in found}


@pytest.mark.parametrize("words", DOCKERS, ids=" ".join)
def test_a_command_has_dockers_flags_with_dockers_short_forms(words: tuple[str, ...]) -> None:
    theirs = docker_flags(words)
    ours = {option_flag(option).split()[-1] if option.is_flag else "": option for option in options(words)}
    ours = {next(name for name in option.opts if name.startswith("--")): option for option in options(words)}
    entry = ENTRIES[words]
    absent = set().union(
        *(WITHOUT.get(tuple(path.split()), set()) for path in spellings(ROOT, entry.target)), WITHOUT.get(words, set())
    )

    assert set(theirs) - set(ours) == absent & set(theirs)
    for long, short in theirs.items():
        if short and long in ours:
            assert short in ours[long].opts


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_and_each_flag_say_what_they_do(words: tuple[str, ...]) -> None:
    command = TREE[words]
    first = (command.help or "").splitlines()[0]

    assert first
    assert not first.endswith(".")
    assert isinstance(command, Command)
    for option in options(words):
        assert option.help
        assert not option.help.endswith(".")
        assert option.is_flag or option.metavar


@pytest.mark.parametrize("words", ENTRIES, ids=" ".join)
def test_a_groups_help_says_of_a_command_what_the_command_says(words: tuple[str, ...]) -> None:
    assert (TREE[words].help or "").splitlines()[0] == ENTRIES[words].help


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["image", "ls", "--foo"], 125, "unknown flag: --foo"),
        (["image", "ls", "-z"], 125, "unknown shorthand flag: 'z' in -z"),
        (["image", "ls", "-qz"], 125, "unknown shorthand flag: 'z' in -z"),
        (["image", "ls", "--format"], 125, "flag needs an argument: --format"),
        (["image", "ls", "--filter", "foo"], 125, "bad format of filter (expected name=value)"),
        (["image", "ls", "--all=maybe"], 125, 'invalid argument "maybe" for "-a, --all" flag'),
        (["pull", "--platform", "nonsense", "x"], 125, "'nonsense' is not a platform"),
        (["image", "ls", "a", "b"], 1, "'dockyard image ls' requires at most 1 argument"),
        (["images", "a", "b"], 1, "'dockyard images' requires at most 1 argument"),
        (["tag", "a"], 1, "'dockyard tag' requires 2 arguments"),
        (["pull"], 1, "'dockyard pull' requires 1 argument"),
        (["rmi"], 1, "'dockyard rmi' requires at least 1 argument"),
        (["manifest", "create", "a"], 1, "'dockyard manifest create' requires at least 2 arguments"),
        (["manifest", "inspect"], 1, "'dockyard manifest inspect' requires 1 to 2 arguments"),
        (["version", "x"], 1, "'dockyard version' accepts no arguments"),
        (["--nonsense"], 125, "unknown flag: --nonsense"),
        (["imgae"], 1, "dockyard: unknown command: dockyard imgae"),
        (["image", "inspekt"], 1, "dockyard: unknown command: dockyard image inspekt"),
        (["help", "foo"], 1, "unknown help topic: foo"),
    ],
)
def test_a_wrong_command_line_is_refused_as_docker_refuses_it(
    words: list[str], code: int, says: str, dockyard: Machine
) -> None:
    done = dockyard(*words)

    assert done.returncode == code
    assert says in done.stderr.splitlines()[0]
    assert "--help' for more information" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words", [["image", "ls", "--foo"], ["image", "ls", "--format"], ["tag", "a"], ["imgae"], ["image", "ls", "a", "b"]]
)
def test_the_exit_code_of_a_wrong_command_line_is_dockers(words: list[str], dockyard: Machine, tmp_path: Path) -> None:
    assert dockyard(*words).returncode == run("docker", *words, env=plain_environment(tmp_path)).returncode


def test_a_misspelt_command_and_flag_come_with_a_suggestion(dockyard: Machine) -> None:
    assert "Did you mean 'dockyard image'?" in dockyard("imgae").stderr
    assert "Did you mean 'dockyard image inspect'?" in dockyard("image", "inspekt").stderr
    assert "Did you mean '--digests'?" in dockyard("image", "ls", "--digest").stderr
    assert "Did you mean" not in dockyard("xyzzy").stderr


@pytest.mark.parametrize("words", [[], ["image"], ["context"], ["--help"], ["image", "-h"], ["help", "image"]])
def test_a_group_alone_shows_its_help(words: list[str], dockyard: Machine) -> None:
    done = dockyard(*words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:  dockyard")
    assert "Commands:" in done.stdout


def test_help_of_a_command_has_three_ways(dockyard: Machine) -> None:
    text = dockyard.ok("image", "ls", "--help")

    assert dockyard.ok("help", "image", "ls") == dockyard.ok("image", "ls", "-h") == text
    assert "Aliases:\n  dockyard image ls, dockyard image list, dockyard images\n" in text


def test_the_version_has_a_short_form(dockyard: Machine) -> None:
    assert re.fullmatch(r"dockyard version \d+\.\d+\.\d+\n", dockyard.ok("--version"))
    assert dockyard.ok("-v") == dockyard.ok("--version")
