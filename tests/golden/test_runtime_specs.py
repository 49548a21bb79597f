"""What runc is told, whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dockyard.engine.runtime_spec import SpecMount, build_spec, hosts_file
from dockyard.engine.seccomp import runtime_seccomp
from dockyard.engine.users import Identity

SECCOMP = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}
BASE: dict[str, Any] = {
    "words": ["/bin/sh", "-c", "make"], "env": {"LANG": "C"}, "workdir": "/src", "identity": Identity(0, 0, (10,)),
    "mounts": [SpecMount("/etc/hosts", "/ready/1", readonly=True, options=("nosuid", "nodev"))], "network": "default",
    "shm_size": 67108864, "seccomp": SECCOMP, "cgroup": "/dockyard-build-1-2-x",
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "root": {},
    "user": {"identity": Identity(1000, 1001), "workdir": "", "env": {"PATH": "/bin", "A": "b=c"}},
    "no-network": {"network": "none", "shm_size": 1048576},
    "mounts": {"mounts": [SpecMount("/t", type="tmpfs", options=("size=1024",)), SpecMount("/c", "/ready/2")]},
    "rootless": {"rootless": True, "open_files": (1024, 512), "tty_group": False},
    "rootless-no-network": {"rootless": True, "network": "none"},
}
PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "defaultErrno": "ENOSYS",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["breakpoint"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm", "arm64"]}},
        {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {
            "names": ["mount"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 1,
            "errno": "EPERM",
            "excludes": {"caps": ["CAP_SYS_ADMIN"]},
        },
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["old"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "5.0"}},
        {
            "name": "personality",
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ", "comment": "x"}],
        },
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_config_of_a_run(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"runtime_specs/{name}.json", json.dumps(build_spec(**{**BASE, **CASES[name]}), indent=2) + "\n")


@pytest.mark.parametrize(
    ("name", "architecture", "kernel"),
    [("amd64", "amd64", "6.1.0-18-amd64"), ("arm64", "arm64", "4.4.0"), ("riscv64", "riscv64", "4.19")],
)
def test_the_seccomp_rules_of_a_machine(
    name: str, architecture: str, kernel: str, golden: Callable[[str, str], None]
) -> None:
    found = runtime_seccomp(PROFILE, architecture=architecture, capabilities=["CAP_SYS_CHROOT"], kernel=kernel)

    golden(f"runtime_specs/seccomp-{name}.json", json.dumps(found, indent=2) + "\n")


def test_the_hosts_file_of_a_run(golden: Callable[[str, str], None]) -> None:
    entries = ["db:10.0.0.7", "six:[fd00::1]", "seven=fd00::2", "me:host-gateway"]

    golden("runtime_specs/hosts", hosts_file(entries))
