"""From a Dockerfile's text to its instructions, checked as far as that can be without knowing any variable.

Source: docker's Dockerfile reference; the messages are docker's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dockyard.dockerfile.arguments import READERS
from dockyard.dockerfile.flags import take_apart
from dockyard.dockerfile.grammar import BY_KEYWORD
from dockyard.dockerfile.instructions import Arg, Dockerfile, From, Onbuild, Stage
from dockyard.dockerfile.lexer import open_source, statements
from dockyard.dockerfile.request import Request
from dockyard.dockerfile.words import nearest
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from dockyard.dockerfile.instructions import Instruction
    from dockyard.dockerfile.lexer import Statement

_SHOWN = 60


@dataclass(slots=True)
class _Draft:
    """A stage that is being read."""

    start: From
    instructions: list[Instruction] = field(default_factory=list)


def parse(text: str, *, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile; ``name`` is what messages call it.

    What variables are expanded in keeps its quotes and escapes: see :mod:`dockyard.dockerfile.arguments`.
    Raise :class:`DockerfileInvalid` with file, line, column and that line for the first thing that is wrong.
    """
    source = open_source(text, name)
    arguments: list[Arg] = []
    drafts: list[_Draft] = []
    for statement in statements(source):
        instruction = _read(statement)
        if isinstance(instruction, From):
            drafts.append(_Draft(instruction))
        elif drafts:
            drafts[-1].instructions.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            hint = "a Dockerfile begins with FROM; only ARG may stand before it"
            raise statement.error("no build stage in current context", hint=hint)
    if not drafts:
        problem = "dockerfile contains no stages to build" if arguments else "file with no instructions"
        raise DockerfileInvalid(problem, file=name, hint="a Dockerfile begins with FROM")
    stages = tuple(Stage(draft.start, tuple(draft.instructions)) for draft in drafts)
    return Dockerfile(name, tuple(arguments), stages, source.directives, source.lines)


def parse_trigger(text: str, *, name: str = "ONBUILD") -> Instruction:
    """Read one instruction as a base image's config keeps it for ``ONBUILD``, its here-documents included."""
    found = list(statements(open_source(text, name)))
    if len(found) != 1:
        raise DockerfileInvalid("onbuild trigger should be a single expression", file=name)
    _check_trigger(found[0])
    return _read(found[0])


def _read(statement: Statement) -> Instruction:
    word = statement.head.word
    form = BY_KEYWORD.get(word.upper())
    if not form:
        meant = nearest(word.upper(), BY_KEYWORD)
        hint = f"did you mean {meant}?" if meant else None
        if not word.isalpha():
            hint = f"does the line above lack a {statement.source.escape} at its end?"
        raise statement.error(f"unknown instruction: {_shortened(word)}", hint=hint)
    request = Request.of(statement, form)
    return _read_onbuild(request) if form.keyword == "ONBUILD" else READERS[form.keyword](request)


def _read_onbuild(request: Request) -> Onbuild:
    """``ONBUILD``: the trigger is read too, so that a mistake in it shows here and not in somebody else's build."""
    statement = request.statement
    if not request.args:
        raise request.error("ONBUILD requires at least one argument")
    inner = replace(statement, head=take_apart(statement.text, statement.head.args_at))
    _check_trigger(inner)
    _read(inner)
    documents = "".join(f"\n{document.content}{document.name}" for document in statement.heredocs)
    return Onbuild(request.location, request.text, request.args + documents)


def _check_trigger(statement: Statement) -> None:
    keyword = statement.head.keyword
    form = BY_KEYWORD.get(keyword)
    if form and not form.trigger:
        problem = f"{keyword} isn't allowed as an ONBUILD trigger"
        if keyword == "ONBUILD":
            problem = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
        raise statement.error(problem)


def _shortened(word: str) -> str:
    return word if len(word) <= _SHOWN else f"{word[:_SHOWN]}..."
