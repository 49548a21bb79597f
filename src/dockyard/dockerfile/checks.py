"""Build checks: what works in a Dockerfile and should be written otherwise.

Source: docker's build checks reference; the messages are docker's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.dockerfile.check_options import CheckOptions, check_options
from dockyard.dockerfile.check_rules import RULES, Finding
from dockyard.dockerfile.expand import expand
from dockyard.dockerfile.lexer import Source, statements
from dockyard.dockerfile.stage_checks import PLATFORM_ARGS, check_secrets, check_stages
from dockyard.dockerfile.variables import is_constant, used_variables
from dockyard.dockerfile.words import nearest, quoted, spaced
from dockyard.errors import DockerfileInvalid, Invalid
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from dockyard.dockerfile.instructions import Dockerfile, Stage
    from dockyard.dockerfile.lexer import Statement

_RESERVED = ("context", "scratch")
_EXPERIMENTAL = {rule.name: rule.experimental for rule in RULES}


def check(
    dockerfile: Dockerfile,
    *,
    options: CheckOptions | None = None,
    bases: Mapping[int, Collection[str]] | None = None,
    ignored: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """What docker's build checks find, in the order of lines.

    ``options`` are those of the file's ``check`` directive where none are given; raise :class:`DockerfileInvalid`
    where that can't be read. ``bases`` are the names of the environment variables of stages' base images, as far as
    they are known: without them only those undefined variables are found that are surely mistakes. ``ignored`` says
    whether ``.dockerignore`` leaves a path of the context out.
    """
    wanted = check_options(dockerfile) if options is None else options
    read = tuple(statements(Source(dockerfile.name, dockerfile.lines, dockerfile.lines, dockerfile.directives)))
    found = {
        *_check_casing(read), *_check_writing(read), *_check_bases(dockerfile),
        *check_stages(dockerfile, bases or {}, ignored),
    }  # fmt: skip
    return sorted(one for one in found if wanted.wants(one.rule, experimental=_EXPERIMENTAL[one.rule]))


def refuse(dockerfile: Dockerfile, findings: Sequence[Finding]) -> None:
    """Raise :class:`DockerfileInvalid` if anything was found: for files that say ``error=true``."""
    if findings:
        first = findings[0]
        rules = ", ".join(sorted({one.rule for one in findings}))
        raise DockerfileInvalid(
            f"lint violation found for rules: {rules}", file=dockerfile.name, line=first.line,
            source=dockerfile.lines[first.line - 1], hint=first.message,
        )  # fmt: skip


def _check_casing(read: Sequence[Statement]) -> Iterator[Finding]:
    """Instructions in the case of the majority, and AS in that of its FROM."""
    words = [statement.head.word for statement in read]
    lower = sum(word.islower() for word in words) > sum(word.isupper() for word in words)
    for statement in read:
        word = statement.head.word
        if not (word.islower() if lower else word.isupper()):
            should = f"should match the case of the command majority ({'lowercase' if lower else 'uppercase'})"
            yield _finding(statement, "ConsistentInstructionCasing", f"Command '{word}' {should}")
        parts = spaced(statement.head.args)
        if statement.head.keyword == "FROM" and len(parts) == 3:
            as_ = parts[1]
            if (word.islower() and not as_.islower()) or (word.isupper() and not as_.isupper()):
                yield _finding(statement, "FromAsCasing", f"'{as_}' and '{word}' keywords' casing do not match")
            if parts[2] != parts[2].lower():
                yield _finding(statement, "StageNameCasing", f"Stage name '{parts[2]}' should be lowercase")


def _check_writing(read: Sequence[Statement]) -> Iterator[Finding]:
    """What is only to be seen in the text: empty lines, the old form of pairs, comments."""
    for statement in read:
        keyword, args = statement.head.keyword, statement.head.args
        if statement.gaps:
            yield Finding(statement.gaps[0], "NoEmptyContinuation", "Empty continuation line")
        if keyword in ("ENV", "LABEL") and "=" not in quoted(args, statement.source.escape)[0]:
            message = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
            yield _finding(statement, "LegacyKeyValueFormat", message)
        if keyword == "MAINTAINER":
            message = "Maintainer instruction is deprecated in favor of using label"
            yield _finding(statement, "MaintainerDeprecated", message)
        names = _described(statement)
        if statement.comments and names and statement.comments[-1].partition(" ")[0] not in names:
            shown = names[0] if len(names) == 1 else "<arg_key>"
            message = f"Comment for {keyword} should follow the format: `# {shown} <description>`"
            yield _finding(statement, "InvalidDefinitionDescription", message)


def _described(statement: Statement) -> list[str]:
    """The names that a comment above the statement would describe."""
    if statement.head.keyword == "FROM":
        return [name.lower() for name in spaced(statement.head.args)[2:]]
    if statement.head.keyword == "ARG":
        return [word.partition("=")[0] for word in quoted(statement.head.args, statement.source.escape)]
    return []


def _check_bases(dockerfile: Dockerfile) -> Iterator[Finding]:
    """FROM and the arguments before it."""
    declared = {name: value for arg in dockerfile.arguments for name, value in arg.pairs}
    for arg in dockerfile.arguments:
        yield from check_secrets(arg)
    names: set[str] = set()
    for stage in dockerfile.stages:
        if stage.start.alias in names:
            message = f'Duplicate stage name "{stage.start.alias}", stage names should be unique'
            yield Finding(stage.start.location.line, "DuplicateStageName", message)
        names |= {stage.start.alias} if stage.start.alias else set()
        yield from _check_from(stage, {**dict.fromkeys(PLATFORM_ARGS), **declared})
        if _is_default_broken(dockerfile, stage):
            image = stage.start.image
            message = f"Default value for ARG {image} results in empty or invalid base image name"
            yield Finding(stage.start.location.line, "InvalidDefaultArgInFrom", message)


def _check_from(stage: Stage, declared: Mapping[str, str | None]) -> Iterator[Finding]:
    start, line = stage.start, stage.start.location.line
    if start.alias in _RESERVED:
        message = f'Stage name should not use the same name as reserved stage "{start.alias}"'
        yield Finding(line, "ReservedStageName", message)
    for name in used_variables(f"{start.image} {start.platform}"):
        if name not in declared:
            meant = nearest(name, declared)
            message = f"FROM argument '{name}' is not declared" + (f" (did you mean {meant}?)" if meant else "")
            yield Finding(line, "UndefinedArgInFrom", message)
    if start.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
        message = (
            f"Setting platform to predefined {start.platform} in FROM is redundant as this is the default behavior"
        )
        yield Finding(line, "RedundantTargetPlatform", message)
    # A stage that is named for its platform is one of several to choose from: there a constant is right.
    parts = start.platform.lower().split("/")
    if start.platform and is_constant(start.platform) and not any(part and part in start.alias for part in parts):
        message = f'FROM --platform flag should not use constant value "{start.platform}"'
        yield Finding(line, "FromPlatformFlagConstDisallowed", message)


def _is_default_broken(dockerfile: Dockerfile, stage: Stage) -> bool:
    image, escape = stage.start.image, dict(dockerfile.directives).get("escape", "\\")
    if is_constant(image):
        return False
    values = dict.fromkeys(PLATFORM_ARGS, "x")
    try:
        for name, value in (pair for arg in dockerfile.arguments for pair in arg.pairs):
            values[name] = expand(value or "", values, escape=escape)
        if set(used_variables(image, escape=escape)) - set(values):
            return False  # another rule says so
        parse_reference(expand(image, values, escape=escape))
    except Invalid:
        return True
    return False


def _finding(statement: Statement, rule: str, message: str) -> Finding:
    return Finding(statement.location.line, rule, message)
