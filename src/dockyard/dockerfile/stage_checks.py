"""Build checks of what stands inside a stage, in the light of the stages that it starts from.

Source: docker's build checks reference; the messages are docker's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.dockerfile.check_rules import Finding
from dockyard.dockerfile.instructions import (
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)  # fmt: skip
from dockyard.dockerfile.variables import is_constant, used_variables
from dockyard.dockerfile.words import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from dockyard.dockerfile.instructions import Dockerfile, Instruction

PLATFORM_ARGS = (
    "BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT",
    "TARGETPLATFORM", "TARGETOS", "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE",
)  # fmt: skip

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_ABSOLUTE = re.compile(r"""['"]?(?:[/\\$]|[A-Za-z]:)""")
_TYPO = 0.8  # how near a name has to be to be taken for a mistyped one


@dataclass(slots=True)
class _State:
    """What is known at a point of a stage. Where ``complete``, there are no other variables than ``variables``."""

    variables: set[str]
    complete: bool
    has_shell: bool = False
    has_workdir: bool = False
    last: dict[type, int] = field(default_factory=dict)  # lines of what only counts once

    def next(self) -> _State:
        """The state that a stage begins with which starts from this one."""
        return _State(set(self.variables), self.complete, self.has_shell, self.has_workdir)


def check_stages(
    dockerfile: Dockerfile, bases: Mapping[int, Collection[str]], ignored: Callable[[str], bool] | None
) -> Iterator[Finding]:
    """The findings of all stages; see :func:`dockyard.dockerfile.checks.check`."""
    escape = dict(dockerfile.directives).get("escape", "\\")
    hidden = {*PLATFORM_ARGS, *(name for arg in dockerfile.arguments for name, _ in arg.pairs)}
    ends: dict[str, _State] = {}
    for index, stage in enumerate(dockerfile.stages):
        known = bases.get(index, () if stage.start.image == "scratch" else None)
        state = _State({"PATH", *(known or ())}, known is not None)
        if stage.start.image.lower() in ends:
            state = ends[stage.start.image.lower()].next()
        for instruction in stage.instructions:
            yield from _check_variables(instruction, state, hidden, escape)
            yield from _check_commands(instruction, state)
            yield from _check_rest(instruction, state, ignored)
        if stage.start.alias:
            ends[stage.start.alias] = state


def check_secrets(instruction: Arg | Env) -> Iterator[Finding]:
    """Names that secrets have."""
    word = "ARG" if isinstance(instruction, Arg) else "ENV"
    for name, _ in instruction.pairs:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            message = f'Do not use ARG or ENV instructions for sensitive data ({word} "{name}")'
            yield Finding(instruction.location.line, "SecretsUsedInArgOrEnv", message)


def _check_variables(instruction: Instruction, state: _State, hidden: set[str], escape: str) -> Iterator[Finding]:
    """Variables that nothing has defined; then what the instruction defines is known.

    What a base image defines is not known before it is there: a variable is then only found undefined where it is
    an argument that the stage would have to declare, or nearly the name of one that is known.
    """
    if isinstance(instruction, Arg):
        state.variables |= {name.strip("\"'") for name, _ in instruction.pairs}
    for name in dict.fromkeys(used_variables(" ".join(_texts(instruction)), escape=escape)):
        if name in state.variables:
            continue
        meant = nearest(name, state.variables, cutoff=_TYPO)
        if state.complete or meant or name in hidden:
            message = f"Usage of undefined variable '${name}'" + (f" (did you mean ${meant}?)" if meant else "")
            yield Finding(instruction.location.line, "UndefinedVar", message)
    if isinstance(instruction, Env):
        state.variables |= {name.strip("\"'") for name, _ in instruction.pairs}


def _texts(instruction: Instruction) -> Iterator[str]:
    """The texts in which variables are expanded."""
    match instruction:
        case Env() | Label():
            for name, value in instruction.pairs:
                yield from (name, value)
        case Arg():
            yield from (value or "" for _, value in instruction.pairs)
        case Copy():
            yield from (*instruction.sources, instruction.destination, instruction.chown, instruction.chmod)
            yield from (*instruction.excludes, instruction.checksum)
            yield from (document.content for document in instruction.heredocs if document.expand)
        case Run():
            yield from instruction.mounts
        case Workdir():
            yield instruction.path
        case User():
            yield instruction.user
        case Expose():
            yield from instruction.ports
        case Volume():
            yield from instruction.paths
        case Stopsignal():
            yield instruction.signal


def _check_commands(instruction: Instruction, state: _State) -> Iterator[Finding]:
    """CMD, ENTRYPOINT and HEALTHCHECK: once each, and the first two in JSON form unless a shell was chosen."""
    line = instruction.location.line
    if isinstance(instruction, Shell):
        state.has_shell = True
    if isinstance(instruction, Cmd | Entrypoint | Healthcheck):
        word = type(instruction).__name__.upper()
        if type(instruction) in state.last:
            message = f"Multiple {word} instructions should not be used in the same stage because only the last one"
            found = state.last[type(instruction)]
            yield Finding(found, "MultipleInstructionsDisallowed", f"{message} will be used")
        state.last[type(instruction)] = line
        shell = instruction.command is not None and instruction.command.shell
        if not isinstance(instruction, Healthcheck) and shell and not state.has_shell:
            message = f"JSON arguments recommended for {word} to prevent unintended behavior related to OS signals"
            yield Finding(line, "JSONArgsRecommended", message)


def _check_rest(
    instruction: Instruction, state: _State, ignored: Callable[[str], bool] | None
) -> Iterator[Finding]:  # fmt: skip
    match instruction:
        case Arg() | Env():
            yield from check_secrets(instruction)
        case Workdir():
            absolute = bool(_ABSOLUTE.match(instruction.path))
            if not absolute and not state.has_workdir:
                message = f'Relative workdir "{instruction.path}" can have unexpected results if the base image changes'
                yield Finding(instruction.location.line, "WorkdirRelativePath", message)
            state.has_workdir |= absolute
        case Expose():
            yield from _check_ports(instruction)
        case Copy() if ignored:
            word = "ADD" if instruction.add else "COPY"
            for source in instruction.sources:
                if not instruction.from_ and is_constant(source) and "://" not in source and ignored(source):
                    message = f'Attempting to {word} file "{source}" that is excluded by .dockerignore'
                    yield Finding(instruction.location.line, "CopyIgnoredFile", message)


def _check_ports(instruction: Expose) -> Iterator[Finding]:
    for port in instruction.ports:
        number, _, protocol = port.partition("/")
        if protocol != protocol.lower() and is_constant(protocol):
            message = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield Finding(instruction.location.line, "ExposeProtoCasing", message)
        if ":" in number and is_constant(number):
            message = "EXPOSE instruction should not define an IP address or host-port mapping, found"
            yield Finding(instruction.location.line, "ExposeInvalidFormat", f"{message} '{port}'")
