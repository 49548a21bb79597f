"""Whether this machine can run programs of another platform.

Source: Linux' ``admin-guide/binfmt-misc.rst``; QEMU's names of processors.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dockyard.engine.host import binary_formats
from dockyard.errors import BuildFailed
from dockyard.oci.platform import Platform, host_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

_QEMU = {
    "amd64": "x86_64", "386": "i386", "arm64": "aarch64", "arm": "arm", "ppc64le": "ppc64le", "s390x": "s390x",
    "riscv64": "riscv64", "mips64le": "mips64el", "mips": "mips", "mipsle": "mipsel", "loong64": "loongarch64",
}  # fmt: skip
_ALSO_RUNS = {"amd64": "386", "arm64": "arm"}


def needs_emulation(platform: Platform, machine: Platform) -> bool:
    """Whether programs of a platform are foreign to a machine."""
    wanted = platform.normal().architecture
    own = machine.normal().architecture
    return wanted not in {own, _ALSO_RUNS.get(own)}


def emulator(platform: Platform, formats: Mapping[str, str]) -> str:
    """The interpreter that the kernel has for a platform's programs; empty where none works inside a container.

    ``formats`` are the entries of binfmt_misc. One without the flag F would be looked for among the image's own files.
    """
    name = f"qemu-{_QEMU.get(platform.architecture, platform.architecture)}"
    lines = formats.get(name, "").splitlines()
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    return fields.get("interpreter", "") if "enabled" in lines and "F" in fields.get("flags:", "") else ""


def refuse_foreign(platform: Platform, machine: Platform | None = None) -> None:
    """Raise BuildFailed where a RUN for that platform can't be executed here, saying what would help."""
    if platform.os != "linux":
        raise BuildFailed(
            f"RUN can't be executed: programs of {platform} don't run on Linux",
            hint="COPY, ADD, ENV, CMD and the other instructions work for such an image; run commands where it runs.",
        )
    machine = machine or host_platform("linux", os.uname().machine)
    if needs_emulation(platform, machine) and not emulator(platform, binary_formats()):
        raise BuildFailed(
            f"RUN can't be executed: programs of {platform} don't run on this {machine} machine",
            hint="Install an emulator: on Debian, apt-get install qemu-user-static.",
        )
