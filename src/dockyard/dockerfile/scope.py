"""Build arguments and where they are seen.

Source: docker's Dockerfile reference, sections ARG ("Scope", "Using ARG variables", "Predefined ARGs", "Automatic
platform ARGs in the global scope") and FROM ("Understand how ARG and FROM interact").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.dockerfile.config import environment
from dockyard.dockerfile.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from dockyard.dockerfile.instructions import Arg
    from dockyard.oci.platform import Platform

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def platform_arguments(target: Platform, build: Platform, stage: str) -> dict[str, str]:
    """The automatic arguments of the global scope."""
    out = {}
    for name, platform in (("BUILD", build), ("TARGET", target)):
        version = f"({platform.os_version})" if platform.os_version else ""
        out[f"{name}PLATFORM"] = f"{platform.os}{version}{str(platform)[len(platform.os) :]}"
        out[f"{name}OS"] = platform.os
        out[f"{name}OSVERSION"] = platform.os_version
        out[f"{name}ARCH"] = platform.architecture
        out[f"{name}VARIANT"] = platform.variant
    return out | {"TARGETSTAGE": stage or "default"}


def proxies(given: Mapping[str, str]) -> dict[str, str]:
    """The predefined arguments that were given: commands look for either spelling, so they get both."""
    out = {}
    for name in _PROXIES:
        values = [value for key, value in sorted(given.items()) if key.upper() == name and value]
        if values:
            out[name] = out[name.lower()] = values[-1]
    return out


def unused(given: Iterable[str], declared: Iterable[Arg], automatic: Iterable[str]) -> tuple[str, ...]:
    """Arguments that were given and that nothing asks for."""
    known = {name for instruction in declared for name, _ in instruction.pairs} | {"SOURCE_DATE_EPOCH", *automatic}
    return tuple(
        name
        for name in sorted(given)
        if name not in known and name.upper() not in _PROXIES and not name.startswith("BUILDKIT_")
    )


@dataclass(slots=True)
class Scope:
    """The variables that an instruction sees: the arguments declared so far, and the image's environment over them.

    ``outer`` is what an argument declared without a default gets where none was given.
    """

    given: Mapping[str, str]
    outer: Mapping[str, str] = field(default_factory=dict)
    escape: str = "\\"
    arguments: dict[str, str | None] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    def declare(self, pairs: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        """ARG: declare arguments and return what they are. Raise :class:`Invalid`."""
        out = []
        for name, default in pairs:
            if name in self.given:
                value: str | None = self.given[name]
            elif default is not None:
                value = expand(default, self.variables, escape=self.escape)
            else:
                value = self.outer.get(name)
            if value is not None or name not in self.arguments:
                self.arguments[name] = value
            out.append((name, value))
        return out

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take the environment of the image as it is now."""
        self.env = environment(config)

    @property
    def variables(self) -> dict[str, str]:
        """All of them by name."""
        return {name: value for name, value in self.arguments.items() if value is not None} | dict(self.env)

    @property
    def declared(self) -> dict[str, str]:
        """The declared arguments with the value that a command sees under their name."""
        return {name: self.env.get(name, value or "") for name, value in self.arguments.items()}
