"""Operating system and processor: normalised, and matched as containerd does.

Source: OCI image specification, ``image-index.md`` (platform object); containerd's ``platforms`` package for
the normal forms and for which variant can run another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_ARCHITECTURES = {
    "i386": ("386", ""), "i686": ("386", ""), "x86_64": ("amd64", ""), "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6"), "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}  # fmt: skip
_SYSTEMS = {"macos": "darwin"}
_DEFAULT_VARIANT = {"amd64": "v1", "arm64": "v8"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """Where an image runs: ``linux/arm64``, ``linux/arm/v7``, ``windows/amd64`` with its ``os_version``."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/arch[/variant]``, also ``windows(10.0.17763)/amd64``; raise :class:`Invalid`."""
        system, slash, rest = text.partition("/")
        version = ""
        if system.endswith(")") and "(" in system:
            system, _, version = system[:-1].partition("(")
        parts = [system, *rest.split("/")] if slash else [system]
        if not 2 <= len(parts) <= 3 or not all(_WORD.fullmatch(part) for part in parts):
            raise Invalid(f"{text!r} is not a platform: write os/architecture[/variant], such as linux/arm64/v8")
        variant = parts[2] if len(parts) == 3 else ""
        return cls(parts[0], parts[1], variant, version).normal()

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Platform:
        """Read the platform object of a descriptor, or the same fields of an image config."""
        features = fields.get("os.features")
        return cls(
            _text(fields, "os"), _text(fields, "architecture"), _text(fields, "variant"), _text(fields, "os.version"),
            tuple(str(feature) for feature in features) if isinstance(features, list) else (),
        ).normal()  # fmt: skip

    def normal(self) -> Platform:
        """The same platform in its one usual spelling: ``aarch64/v8`` is ``arm64``."""
        system = self.os.lower()
        architecture, variant = self.architecture.lower(), self.variant.lower()
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = variant or implied
        if variant.isdecimal():
            variant = f"v{variant}"
        if architecture == "arm" and not variant:
            variant = "v7"
        if variant == _DEFAULT_VARIANT.get(architecture):
            variant = ""
        return replace(self, os=_SYSTEMS.get(system, system), architecture=architecture, variant=variant)

    def fields(self) -> dict[str, object]:
        """The platform object of an OCI descriptor."""
        out: dict[str, object] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            out["os.version"] = self.os_version
        if self.os_features:
            out["os.features"] = list(self.os_features)
        if self.variant:
            out["variant"] = self.variant
        return out

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def host_platform(system: str, machine: str) -> Platform:
    """The platform of containers on a machine that ``uname`` describes so; Linux containers except on Windows."""
    return Platform("windows" if system.lower() == "windows" else "linux", machine).normal()


def best_match(wanted: Platform, candidates: Sequence[Platform | None]) -> int | None:
    """Return the index of the candidate that fits ``wanted`` best, or ``None`` where none can run there.

    The exact variant wins, then the nearest older one; among Windows candidates the same build as
    ``wanted.os_version``, then the newest. Of equals the first wins.
    """
    best: tuple[tuple[int, ...], int] | None = None
    for index, candidate in enumerate(candidates):
        rank = _rank(wanted.normal(), candidate.normal()) if candidate else None
        if rank is not None and (best is None or rank > best[0]):
            best = rank, index
    return best[1] if best else None


def runs_on(image: Platform, wanted: Platform) -> bool:
    """Whether an image of one platform can run where ``wanted`` is."""
    return best_match(wanted, [image]) is not None


def platforms(texts: Iterable[str]) -> list[Platform]:
    """Read a list of platforms, each of which may hold several separated by commas."""
    return [Platform.parse(part.strip()) for text in texts for part in text.split(",")]


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _level(platform: Platform) -> int | None:
    """The number in a variant, so that ``v6`` is below ``v7``; ``None`` for one of another kind."""
    variant = platform.variant or _DEFAULT_VARIANT.get(platform.architecture, "v0")
    number = variant.removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else None


def _rank(wanted: Platform, candidate: Platform) -> tuple[int, ...] | None:
    if wanted.os != candidate.os:
        return None
    have, want = _level(candidate), _level(wanted)
    if wanted.architecture == candidate.architecture:
        if wanted.variant != candidate.variant and (have is None or want is None or have > want):
            return None
        closeness = 1000 + (have or 0)
    elif (wanted.architecture, candidate.architecture) == ("arm64", "arm"):
        closeness = have or 0
    else:
        return None
    if wanted.os != "windows":
        return (closeness,)
    same_build = bool(wanted.os_version) and _build(wanted.os_version) == _build(candidate.os_version)
    version = tuple(int(part) if part.isdecimal() else 0 for part in candidate.os_version.split("."))
    return (closeness, int(same_build), *version)


def _build(version: str) -> str:
    """Windows images run where major, minor and build agree: ``10.0.17763``."""
    return ".".join(version.split(".")[:3])
