"""From a stage's instructions to the steps of a build: variables expanded, paths absolute, the config as it changes.

Pure: nothing is read and nothing is asked. Source: docker's Dockerfile reference; where it leaves something open, what
BuildKit does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.dockerfile import config as configs
from dockyard.dockerfile import created_by, paths
from dockyard.dockerfile import instructions as said
from dockyard.dockerfile.copies import copy_action, file_name, sources_of
from dockyard.dockerfile.expand import expand, expand_words
from dockyard.dockerfile.mounts import MountPlace, parse_mount
from dockyard.dockerfile.parser import parse_trigger
from dockyard.dockerfile.scope import Scope, platform_arguments, proxies, unused
from dockyard.dockerfile.stages import (
    PlanOptions,
    checked_source,
    escape_of,
    find_target,
    global_arguments,
    located,
    needed,
    outline,
    refuse_later,
    resolve,
)  # fmt: skip
from dockyard.dockerfile.steps import FolderAction, Origin, RunAction, StagePlan, Step, Where
from dockyard.errors import DockerfileInvalid, Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from dockyard.dockerfile.steps import Action, Mount, StageHead

__all__ = ["PlanOptions", "find_target", "needed", "outline", "plan_stage"]

_HEREDOC_ALONE = re.compile(r"\d*<<-?(['\"]?)[^\s<'\"]+\1")
_SCRIPTS = "/dev/pipes/"
_MASK = "****"


def plan_stage(
    file: said.Dockerfile,
    head: StageHead,
    base_config: Mapping[str, Any] | None,
    options: PlanOptions,
    *,
    heads: Sequence[StageHead],
    base_author: str = "",
    base_arguments: Mapping[str, str | None] | None = None,
) -> StagePlan:
    """Plan one stage. DockerfileInvalid.

    ``base_config`` is the ``config`` object that it starts from (``None``: nothing), whose ONBUILD instructions come
    first. ``base_arguments`` are those at the end of the stage that it starts from, where it starts from one.
    """
    stage = file.stages[head.index]
    planner = _Planner(file, head, base_config, options, base_author, base_arguments or {})
    if not planner.replaced:
        for trigger in configs.triggers(base_config):
            planner.trigger(trigger)
        for instruction in stage.instructions:
            planner.step(instruction, instruction.location)
    if options.labels and head.index == find_target(heads, options.target):
        planner.label(options.labels)
    return planner.plan()


class _Planner:
    """A stage while it is planned: what its instructions did so far."""

    def __init__(
        self,
        file: said.Dockerfile,
        head: StageHead,
        base_config: Mapping[str, Any] | None,
        options: PlanOptions,
        author: str,
        arguments: Mapping[str, str | None],
    ) -> None:
        self._file, self._head, self._options, self._author = file, head, options, author
        self._windows = head.platform.os == "windows"
        # A named context of the stage's own name stands in for all of it.
        self.replaced = options.context(file.stages[head.index].start.alias) is not None
        config = configs.inherit(base_config, windows=self._windows)
        self._workdir = "/"
        with located(file, head.location):
            if "WorkingDir" in config:
                self._workdir = paths.workdir("/", config["WorkingDir"], windows=self._windows)
                config["WorkingDir"] = paths.shown(self._workdir, windows=self._windows)
        self._config: Mapping[str, Any] = config
        self._scope = Scope(options.given, global_arguments(file, options), escape_of(file), dict(arguments))
        self._scope.configure(config)
        self._has_command = False
        self._steps: list[Step] = []
        self._needs: dict[Origin, None] = {}
        self._triggers: list[said.Instruction] = []

    def plan(self) -> StagePlan:
        """The result."""
        declared = [
            instruction
            for instruction in (
                *self._file.arguments,
                *self._triggers,
                *(each for stage in self._file.stages for each in stage.instructions),
            )
            if isinstance(instruction, said.Arg)
        ]
        automatic = platform_arguments(self._options.platform, self._options.build_platform, "")
        return StagePlan(
            self._head,
            tuple(self._steps),
            tuple(self._needs),
            self._config,
            unused(self._options.given, declared, automatic),
            dict(self._scope.arguments),
        )

    def trigger(self, text: str) -> None:
        """Carry out one ONBUILD instruction of the base; what is wrong in it is said of FROM."""
        with located(self._file, self._head.location):
            try:
                instruction = parse_trigger(text)
            except DockerfileInvalid as error:
                raise Invalid(f"ONBUILD {text!r} of the base image: {error.problem}", hint=error.hint) from None
        self._triggers.append(instruction)
        self.step(instruction, self._head.location, prefix="ONBUILD ")

    def label(self, labels: Mapping[str, str]) -> None:
        """The labels of ``--label``, which history does not mention."""
        self._config = configs.with_labels(self._config, labels.items())
        self._add(self._head.location, created_by.pairs("LABEL", labels.items()), "")

    def step(self, instruction: said.Instruction, location: said.Location, *, prefix: str = "") -> None:
        """Carry out one instruction. DockerfileInvalid."""
        with located(self._file, location):
            action, history = self._carry_out(instruction)
            self._scope.configure(self._config)
            self._add(location, prefix + self._shown(instruction, action), history, action)

    def _add(self, location: said.Location, text: str, history: str, action: Action | None = None) -> None:
        self._steps.append(Step(location, text, history, self._config, action, self._author))

    def _carry_out(self, instruction: said.Instruction) -> tuple[Action | None, str]:
        """What an instruction does to the files, and what history says; the config is changed on the way."""
        match instruction:
            case said.Run():
                return self._run(instruction)
            case said.Copy():
                return self._copy(instruction)
            case said.Workdir():
                return self._change_folder(instruction)
            case said.Arg():
                return None, created_by.pairs("ARG", self._scope.declare(instruction.pairs))
            case said.Env():
                pairs = self._pairs(instruction.pairs)
                self._config = configs.with_env(self._config, pairs)
                return None, created_by.pairs("ENV", pairs)
            case said.Label():
                pairs = self._pairs(instruction.pairs)
                self._config = configs.with_labels(self._config, pairs)
                return None, created_by.pairs("LABEL", pairs)
            case _:
                return None, self._set(instruction)

    def _set(self, instruction: said.Instruction) -> str:
        """Change the config by an instruction that does nothing else."""
        match instruction:
            case said.Cmd(command=command):
                words = configs.words(self._config, command, windows=self._windows)
                self._config, self._has_command = configs.with_command(self._config, words), True
                return created_by.quoted("CMD", words)
            case said.Entrypoint(command=command):
                words = configs.words(self._config, command, windows=self._windows)
                self._config = configs.with_entrypoint(self._config, words, keep_command=self._has_command)
                return created_by.quoted("ENTRYPOINT", words)
            case said.Expose(ports=ports):
                words = [word for port in ports for word in self._words(port)]
                exposed = configs.ports(words)
                self._config = configs.with_ports(self._config, exposed)
                return created_by.listed("EXPOSE", exposed)
            case said.Volume(paths=volumes):
                found = [self._expand(path) for path in volumes]
                self._config = configs.with_volumes(self._config, found)
                return created_by.listed("VOLUME", found)
            case said.Healthcheck():
                check = configs.healthcheck(instruction)
                self._config = {**self._config, "Healthcheck": check}
                return created_by.healthcheck(check)
            case said.Shell(words=shell):
                self._config = configs.with_shell(self._config, shell)
                return created_by.listed("SHELL", shell)
            case said.User(user=written):
                self._config = configs.with_user(self._config, user := self._expand(written))
                return f"USER {user}"
            case said.Stopsignal(signal=written):
                self._config = configs.with_stop_signal(self._config, signal := self._expand(written))
                return f"STOPSIGNAL {signal}"
            case said.Maintainer(name=name):
                self._author = name
                return f"MAINTAINER {name}"
            case said.Onbuild(trigger=trigger):
                self._config = configs.with_trigger(self._config, trigger)
                return ""
        raise Invalid(f"{type(instruction).__name__.upper()} can't stand inside a stage")

    def _run(self, instruction: said.Run) -> tuple[Action, str]:
        command, scripts = _with_heredocs(instruction, windows=self._windows)
        words = configs.words(self._config, command, windows=self._windows)
        variables = self._scope.variables
        networking = {
            name: value for name, value in proxies(self._options.given).items() if name not in self._scope.variables
        }
        if instruction.network not in ("", "default", "none", "host"):
            raise Invalid(f'unsupported network mode "{instruction.network}": it is default, none or host')
        if instruction.security not in ("", "sandbox", "insecure"):
            raise Invalid(f'security "{instruction.security}" is not valid: it is sandbox or insecure')
        if instruction.security == "insecure" and not self._options.insecure:
            raise Invalid(
                "RUN --security=insecure is not allowed: it would run without the sandbox that keeps a build in",
                hint="Take the flag away; a build has no way to allow it.",
            )
        action = RunAction(
            tuple(words),
            tuple({**dict(self._scope.env), **variables, **networking}.items()),
            self._config.get("User", ""),
            self._workdir,
            self._mounts(instruction),
            instruction.network or self._options.network or "default",
            instruction.security or "sandbox",
            scripts,
            tuple(networking),
        )
        return action, created_by.run(words, self._scope.declared)

    def _mounts(self, instruction: said.Run) -> tuple[Mount, ...]:
        mounts: list[Mount] = []
        for text in instruction.mounts:
            place = MountPlace(self._workdir, sum(mount.type == "ssh" for mount in mounts))
            mounts.append(parse_mount(text, place, self._expand, lambda name: self._origin(name, mount=True)))
        self._need(mount.origin for mount in mounts if mount.origin)
        return tuple(mounts)

    def _copy(self, instruction: said.Copy) -> tuple[Action, str]:
        name = checked_source(instruction.from_)
        origin = self._origin(name) if name else Origin(Where.CONTEXT)
        action = copy_action(instruction, origin, self._expand, self._content, self._workdir, windows=self._windows)
        if sources_of(action):
            self._need([origin])
        sources = [self._expand(source) for source in instruction.sources]
        return action, created_by.copy(action, sources, self._expand(instruction.destination))

    def _change_folder(self, instruction: said.Workdir) -> tuple[Action | None, str]:
        self._workdir = paths.workdir(self._workdir, self._expand(instruction.path), windows=self._windows)
        self._config = {**self._config, "WorkingDir": paths.shown(self._workdir, windows=self._windows)}
        action = FolderAction(self._workdir, self._config.get("User", "")) if self._workdir != "/" else None
        return action, f"WORKDIR {self._workdir}"

    def _origin(self, name: str, *, mount: bool = False) -> Origin:
        origin = resolve(name, self._file, self._options)
        refuse_later(origin, name, self._head.index, mount=mount)
        return origin

    def _need(self, origins: Any) -> None:
        self._needs |= dict.fromkeys(origins)

    def _expand(self, text: str) -> str:
        return expand(text, self._scope.variables, escape=self._scope.escape)

    def _words(self, text: str) -> list[str]:
        return expand_words(text, self._scope.variables, escape=self._scope.escape)

    def _content(self, document: said.Heredoc) -> str:
        return expand(document.content, self._scope.variables, quotes=False) if document.expand else document.content

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(self._expand(name), self._expand(value)) for name, value in pairs]

    def _shown(self, instruction: said.Instruction, action: Action | None) -> str:
        """What progress shows: as written, and where files change, with what is known put in."""
        keyword, blank, rest = instruction.text.strip().partition(" ")
        text = keyword.upper() + blank + rest
        if action is None:
            return text
        if isinstance(instruction, said.Run) and instruction.heredocs and _HEREDOC_ALONE.fullmatch(_text(instruction)):
            lines = instruction.heredocs[0].content.strip().splitlines()
            text += f" ({''.join(lines[:1])}{'...' if len(lines) > 1 else ''})"
        variables = self._scope.variables
        if isinstance(action, RunAction):
            variables |= {mount.env: _MASK for mount in action.mounts if mount.env}
        try:
            return expand(text, variables, escape=self._scope.escape, keep=isinstance(action, RunAction))
        except Invalid:
            return text


def _text(instruction: said.Run) -> str:
    return "".join(instruction.command.words).strip()


def _with_heredocs(instruction: said.Run, *, windows: bool) -> tuple[said.Command, tuple[tuple[str, str], ...]]:
    """The command with its here-documents, and the scripts that are there while it runs."""
    documents, command = instruction.heredocs, instruction.command
    if not documents:
        return command, ()
    if not command.shell:
        raise Invalid("RUN in exec form can't have a here-document")
    if not _HEREDOC_ALONE.fullmatch(_text(instruction)):
        # The shell reads them itself.
        parts = (f"\n{document.content}{document.name}" for document in documents)
        return replace(command, words=("".join([*command.words, *parts]),)), ()
    document = documents[0]
    if not windows and document.content.startswith("#!"):
        path = _SCRIPTS + file_name(document)
        return replace(command, words=(path,)), ((path, document.content),)
    return replace(command, words=(document.content,)), ()
