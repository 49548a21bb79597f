"""The stages of a Dockerfile: what each starts from, what it needs of others, and which of them a target needs.

Source: docker's Dockerfile reference, section FROM; "Multi-stage builds"; ``docker buildx build --build-context``.
"""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.dockerfile.expand import expand
from dockyard.dockerfile.instructions import Copy, Run
from dockyard.dockerfile.mounts import mount_source
from dockyard.dockerfile.scope import Scope, platform_arguments
from dockyard.dockerfile.steps import Origin, StageHead, Where
from dockyard.errors import DockerfileInvalid, Invalid
from dockyard.oci.platform import Platform
from dockyard.oci.reference import familiar, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dockyard.dockerfile.instructions import Dockerfile, Instruction, Location


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What was asked for. An argument without a value is as one that was not given."""

    platform: Platform
    build_platform: Platform
    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    contexts: frozenset[str] = frozenset()  # names of --build-context
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    insecure: bool = False  # whether RUN --security=insecure is allowed

    @property
    def given(self) -> dict[str, str]:
        """The build arguments that have a value."""
        return {name: value for name, value in self.build_args.items() if value is not None}

    def context(self, name: str) -> str | None:
        """The named context that stands in for a stage or an image, if there is one."""
        names = {_context_name(context): context for context in sorted(self.contexts)}
        return None if name.lower() in ("scratch", "context") else names.get(_context_name(name))


@contextmanager
def located(file: Dockerfile, location: Location) -> Iterator[None]:
    """Say of what is wrong in the block where in the file it is: it comes out as DockerfileInvalid."""
    try:
        yield
    except Invalid as error:
        source = file.lines[location.line - 1] if 0 < location.line <= len(file.lines) else ""
        raise DockerfileInvalid(
            error.message, file=file.name, line=location.line, column=location.column, source=source, hint=error.hint
        ) from None


def escape_of(file: Dockerfile) -> str:
    """The file's escape character."""
    return dict(file.directives).get("escape", "\\")


def global_arguments(file: Dockerfile, options: PlanOptions) -> dict[str, str]:
    """The arguments before the first FROM and the automatic ones. DockerfileInvalid."""
    stage = options.target or file.stages[-1].start.alias
    automatic = platform_arguments(options.platform, options.build_platform, stage)
    given = options.given
    scope = Scope(given, escape=escape_of(file))
    scope.arguments |= {name: given.get(name, value) for name, value in automatic.items()}
    for instruction in file.arguments:
        with located(file, instruction.location):
            scope.declare(instruction.pairs)
    return scope.variables


def outline(file: Dockerfile, options: PlanOptions) -> tuple[StageHead, ...]:
    """Every stage of the file, the variables of FROM expanded. DockerfileInvalid.

    Stages that need each other are refused wherever they are; one that needs a later stage, where the target needs it.
    """
    variables = global_arguments(file, options)
    heads: list[StageHead] = []
    for index, stage in enumerate(file.stages):
        start = stage.start
        with located(file, start.location):
            image = expand(start.image, variables, escape=escape_of(file))
            platform = _platform(start.platform, variables, escape_of(file)) if start.platform else None
            named = options.context(start.alias) if start.alias else None
            base = Origin(Where.NAMED, named) if named else _base(image, start.image, file, index, options)
        needs = () if named else _needs(file, index, options)
        if base.where is Where.STAGE:
            platform = heads[base.stage].platform
        name = start.alias or f"stage-{index}"
        heads.append(StageHead(index, name, base, platform or options.platform, needs, start.location))
    _refuse_circles(file, heads)
    try:
        target = find_target(heads, options.target)
    except Invalid:
        target = len(heads) - 1
    for index in needed(heads, target):
        _refuse_later(file, heads[index], options)
    return tuple(heads)


def needed(heads: Sequence[StageHead], target: int) -> tuple[int, ...]:
    """The stages that ``target`` needs, itself the last, each after what it needs."""
    found, todo = {target}, [target]
    while todo:
        head = heads[todo.pop()]
        for origin in (head.base, *head.needs):
            if origin.where is Where.STAGE and origin.stage not in found:
                found.add(origin.stage)
                todo.append(origin.stage)
    return tuple(sorted(found))


def find_target(heads: Sequence[StageHead], text: str) -> int:
    """The stage of ``--target``: by its name, or by its number; the last where nothing is said. Invalid."""
    if not text:
        return len(heads) - 1
    for head in reversed(heads):
        if head.name == text.lower():
            return head.index
    if re.fullmatch(r"[0-9]{1,9}", text) and int(text) < len(heads):
        return int(text)
    close = difflib.get_close_matches(text.lower(), [head.name for head in heads], 1)
    hint = f"Did you mean {close[0]}?" if close else None
    raise Invalid(f'target stage "{text}" could not be found', hint=hint)


def resolve(name: str, file: Dockerfile, options: PlanOptions) -> Origin:
    """What ``--from=name`` means: a stage by name or number, a named context, or an image. Raise :class:`Invalid`."""
    for index in reversed(range(len(file.stages))):
        if file.stages[index].start.alias == name.lower():
            return Origin(Where.STAGE, stage=index)
    if re.fullmatch(r"[+-]?[0-9]{1,9}", name):
        if not 0 <= int(name) < len(file.stages):
            raise Invalid(f"invalid stage index {name}: stages are numbered from 0")
        return Origin(Where.STAGE, stage=int(name))
    return _image(name, options)


def refuse_later(origin: Origin, name: str, index: int, *, mount: bool = False) -> None:
    """Raise :class:`Invalid` where ``--from=name`` in a stage names that stage or one behind it."""
    if origin.where is Where.STAGE and origin.stage >= index:
        verb = "mount" if mount else "copy"
        raise Invalid(f'cannot {verb} from stage "{name}", it needs to be defined before current stage')


def _refuse_later(file: Dockerfile, head: StageHead, options: PlanOptions) -> None:
    if options.context(file.stages[head.index].start.alias):
        return
    for instruction in file.stages[head.index].instructions:
        for name, mount in _sources(instruction):
            with located(file, instruction.location):
                refuse_later(resolve(name, file, options), name, head.index, mount=mount)


def _refuse_circles(file: Dockerfile, heads: Sequence[StageHead]) -> None:
    """Refuse stages that need each other, however far around."""
    left = {head.index: {o.stage for o in (head.base, *head.needs) if o.where is Where.STAGE} for head in heads}
    # Taking away who needs nobody that is left, again and again, leaves circles and what needs them.
    while free := [index for index, wanted in left.items() if not wanted & left.keys()]:
        for index in free:
            del left[index]
    if left:
        seen: list[int] = []
        index = min(left)
        while index not in seen:
            seen.append(index)
            index = min(left[index] & left.keys())
        with located(file, heads[index].location):
            raise Invalid(f"circular dependency detected on stage: {heads[index].name}")


def _needs(file: Dockerfile, index: int, options: PlanOptions) -> tuple[Origin, ...]:
    found: dict[Origin, None] = {}
    for instruction in file.stages[index].instructions:
        with located(file, instruction.location):
            found |= {resolve(name, file, options): None for name, _ in _sources(instruction)}
    return tuple(found)


def _sources(instruction: Instruction) -> Iterator[tuple[str, bool]]:
    """The names behind ``from=`` of an instruction, and whether it is a mount's. Raise :class:`Invalid`."""
    if isinstance(instruction, Copy) and instruction.from_:
        yield checked_source(instruction.from_), False
    if isinstance(instruction, Run):
        for text in instruction.mounts:
            if name := mount_source(text):
                yield name, True


def checked_source(name: str) -> str:
    """The name behind COPY's ``--from``. Raise :class:`Invalid` where it holds a variable."""
    if re.search(r"\$.", name):
        raise Invalid(
            f"variable expansion is not supported for --from: {name}",
            hint="Define a stage with FROM using ARG from the global scope, and copy from that.",
        )
    return name


def _base(image: str, written: str, file: Dockerfile, index: int, options: PlanOptions) -> Origin:
    if not image:
        raise Invalid(
            f"base name ({written}) should not be blank",
            hint="FROM sees arguments declared before the first FROM, and those given with --build-arg.",
        )
    if image == "scratch":
        return Origin(Where.SCRATCH)
    for earlier in reversed(range(index)):
        if file.stages[earlier].start.alias == image.lower():
            return Origin(Where.STAGE, stage=earlier)
    return _image(image, options)


def _image(name: str, options: PlanOptions) -> Origin:
    if name == "scratch":
        return Origin(Where.SCRATCH)
    named = options.context(name)
    if named is not None:
        return Origin(Where.NAMED, named)
    parse_reference(name)
    return Origin(Where.IMAGE, name)


def _platform(written: str, variables: Mapping[str, str], escape: str) -> Platform:
    text = expand(written, variables, escape=escape)
    if not text:
        raise Invalid(f"empty platform value from expression {written}")
    return Platform.parse(text)


def _context_name(name: str) -> str:
    """A name as docker compares them: ``alpine``, ``alpine:latest`` and ``docker.io/library/alpine`` are one."""
    try:
        return familiar(parse_reference(name)).removesuffix(":latest")
    except Invalid:
        return name.lower()
