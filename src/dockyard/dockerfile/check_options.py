"""What the ``check`` directive asks for.

Source: docker's Dockerfile reference, "Parser directives", "check".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from dockyard.dockerfile.instructions import Dockerfile

ALL = "all"
_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

CHECK_OPTIONS = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that says what is checked instead of the file's own directive."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Rules to leave out, experimental rules to look at too (``all`` means all), and whether a finding is an error."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def wants(self, rule: str, *, experimental: bool) -> bool:
        """Whether findings of a rule are asked for."""
        if rule in self.skip or ALL in self.skip:
            return False
        return not experimental or rule in self.experimental or ALL in self.experimental


def check_options(dockerfile: Dockerfile, text: str | None = None) -> CheckOptions:
    """Read ``text``, as in the build argument BUILDKIT_DOCKERFILE_CHECK, or else the file's ``check`` directive.

    ``skip=RuleOne,RuleTwo;error=true;experimental=all``. Raise :class:`DockerfileInvalid`.
    """
    if text is None:
        text = dict(dockerfile.directives).get("check", "")
    given: dict[str, str] = {}
    for part in text.split(";") if text.strip() else []:
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in ("skip", "error", "experimental"):
            raise _invalid(dockerfile, f'invalid check option "{part.strip()}"')
        given[name] = value
    error = _TRUTH.get(given.get("error", "false").lower())
    if error is None:
        raise _invalid(dockerfile, f'failed to parse check option "error={given["error"]}": neither true nor false')
    return CheckOptions(_names(given.get("skip", "")), _names(given.get("experimental", "")), error)


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _invalid(dockerfile: Dockerfile, problem: str) -> DockerfileInvalid:
    names = [name for name, _ in dockerfile.directives]
    line = names.index("check") + 1 if "check" in names else 0  # directives stand at the top, each on its line
    source = dockerfile.lines[line - 1] if line else ""
    hint = "write it as: # check=skip=RuleOne,RuleTwo;error=true"
    return DockerfileInvalid(problem, file=dockerfile.name, line=line, source=source, hint=hint)
