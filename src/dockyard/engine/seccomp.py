"""Which system calls a container may make: the profile of containers/common in the form of the OCI runtime. Pure.

Source: OCI runtime specification, ``config-linux.md``, section "Seccomp"; ``containers-common``'s seccomp.json, whose
rules may depend on the architecture, the granted capabilities and the kernel's version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROFILE = "/usr/share/containers/seccomp.json"
PACKAGE = "golang-github-containers-common"

_ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64", "386": "SCMP_ARCH_X86", "arm64": "SCMP_ARCH_AARCH64", "arm": "SCMP_ARCH_ARM",
    "ppc64le": "SCMP_ARCH_PPC64LE", "s390x": "SCMP_ARCH_S390X", "riscv64": "SCMP_ARCH_RISCV64",
    "mips64le": "SCMP_ARCH_MIPSEL64", "loong64": "SCMP_ARCH_LOONGARCH64",
}  # fmt: skip


def runtime_seccomp(
    profile: Mapping[str, Any], *, architecture: str, capabilities: Collection[str], kernel: str
) -> dict[str, Any]:
    """The ``linux.seccomp`` object for a machine (``amd64``), its kernel (``6.1.0``) and what is granted. Invalid."""
    try:
        calls = [
            _call(rule) for rule in profile["syscalls"] if _applies(rule, architecture, capabilities, _version(kernel))
        ]
        out: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
        if profile.get("defaultErrnoRet") is not None:
            out["defaultErrnoRet"] = profile["defaultErrnoRet"]
        if found := _architectures(profile, architecture):
            out["architectures"] = found
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Invalid(f"the seccomp profile can't be read: {error!r}") from None
    if out["defaultAction"] in {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"}:
        raise Invalid("the seccomp profile allows what it does not name")
    return out | {"syscalls": calls}


def _architectures(profile: Mapping[str, Any], architecture: str) -> list[str]:
    native = _ARCHITECTURES.get(architecture)
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == native:
            return [native, *(entry.get("subArchitectures") or ())]
    return [native] if native else []


def _applies(
    rule: Mapping[str, Any], architecture: str, capabilities: Collection[str], kernel: tuple[int, int]
) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if excludes.get("arches") and architecture in excludes["arches"]:
        return False
    if any(name in capabilities for name in excludes.get("caps") or ()):
        return False
    if excludes.get("minKernel") and kernel >= _version(excludes["minKernel"]):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if includes.get("minKernel") and kernel < _version(includes["minKernel"]):
        return False
    return all(name in capabilities for name in includes.get("caps") or ())


def _call(rule: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"names": rule.get("names") or [rule["name"]], "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        out["errnoRet"] = rule["errnoRet"]
    if rule.get("args"):
        keys = ("index", "value", "valueTwo", "op")
        out["args"] = [{key: argument[key] for key in keys if key in argument} for argument in rule["args"]]
    return out


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(text)
    return int(found[1]), int(found[2])
