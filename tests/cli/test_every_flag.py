"""No flag without a test that gives it: this reads the tests of this folder and of the stories."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_tree import COMMANDS, TREE

from dockyard.cli.commands import ROOT
from dockyard.cli.grammar import Branch, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

TESTS = Path(__file__).parents[1]
READ = [
    *(TESTS / "cli").glob("test_*.py"),
    *(TESTS / "golden").glob("test_*.py"),
    *(TESTS / "stories").glob("test_*.py"),
]


def sentences(path: Path) -> Iterator[list[str]]:
    """The words of each call, tuple and list in a module; what is not written out is ``…``."""
    for node in ast.walk(ast.parse(path.read_text())):
        items = node.args if isinstance(node, ast.Call) else getattr(node, "elts", None)
        if items:
            yield [
                item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else "…" for item in items
            ]


def target(words: tuple[str, ...]) -> tuple[str, int]:
    """Which command some words call, and how many of them its name takes; ``("", 0)`` for none."""
    at: Branch | Entry = ROOT
    for count, word in enumerate(words):
        if isinstance(at, Entry):
            return at.target, count
        found = at.entries.get(at.aliases.get(word, word))
        if found is None:
            return "", 0
        at = found
    return (at.target, len(words)) if isinstance(at, Entry) else ("", 0)


def given() -> set[tuple[str, str]]:
    """Pairs of a command and a flag that some test gives it."""
    pairs: set[tuple[str, str]] = set()
    for path in READ:
        for words in sentences(path):
            for start in range(len(words)):
                called, count = target(tuple(words[start:]))
                if called:
                    pairs |= {(called, flag) for word in words[start + count :] for flag in flags(word)}
                    break
    return pairs


def flags(word: str) -> set[str]:
    """``--all=false`` is ``--all``; ``-aq`` is ``-a`` and ``-q``."""
    if word.startswith("--"):
        return {word.partition("=")[0]}
    return {f"-{letter}" for letter in word[1:]} if word.startswith("-") else set()


GIVEN = given()


# The flags of serve are settings, and tests/web gives those to a hub.
@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ("serve",)], ids=" ".join)
def test_each_flag_of_a_command_is_given_to_it_by_some_test(words: tuple[str, ...]) -> None:
    called, _ = target(words)
    options: list[click.Parameter] = [param for param in TREE[words].params if param.param_type_name == "option"]

    assert [option.opts[-1] for option in options if not {(called, name) for name in option.opts} & GIVEN] == []
