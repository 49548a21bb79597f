"""The parts of a RUN that are decided without touching the machine: system calls, platforms, who may run what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockyard.engine.emulation import emulator, needs_emulation, refuse_foreign
from dockyard.engine.host import binary_formats, in_initial_user_namespace
from dockyard.engine.runtime_spec import CAPABILITIES
from dockyard.engine.seccomp import PROFILE, runtime_seccomp
from dockyard.errors import BuildFailed, Invalid
from dockyard.oci.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
QEMU = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\nmagic 7f45\n"


def test_debians_profile_allows_what_is_usual_and_not_what_needs_more_rights() -> None:
    found = runtime_seccomp(
        json.loads(Path(PROFILE).read_text()), architecture="amd64", capabilities=CAPABILITIES, kernel="6.1"
    )
    allowed = {name for rule in found["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}

    assert {"read", "execve", "chroot", "arch_prctl"} <= allowed
    assert not {"bpf", "kexec_load", "init_module", "settimeofday"} & allowed
    assert found["defaultAction"] == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize(
    "profile",
    [
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []},
        {"syscalls": []},
        {"defaultAction": "SCMP_ACT_ERRNO"},
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["x"]}]},
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["x"], "action": "A", "includes": {"minKernel": "x"}}],
        },
    ],
)
def test_a_profile_that_says_nothing_clear_is_refused(profile: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        runtime_seccomp(profile, architecture="amd64", capabilities=(), kernel="6.1")


@pytest.mark.parametrize(
    ("wanted", "machine", "foreign"),
    [
        (AMD64, AMD64, False),
        (ARM64, AMD64, True),
        (Platform("linux", "386"), AMD64, False),
        (Platform("linux", "arm", "v7"), ARM64, False),
        (AMD64, ARM64, True),
        (Platform("linux", "x86_64"), AMD64, False),
    ],
)
def test_programs_of_another_processor_need_an_emulator(wanted: Platform, machine: Platform, foreign: bool) -> None:
    assert foreign == needs_emulation(wanted, machine)


def test_an_emulator_counts_where_it_works_inside_a_container(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64").write_text(QEMU)
    (tmp_path / "status").write_text("enabled\n")
    formats = binary_formats(tmp_path)

    assert emulator(ARM64, formats) == "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
    assert not emulator(Platform("linux", "s390x"), formats)
    assert not emulator(ARM64, {"qemu-aarch64": QEMU.replace("POCF", "POC")})
    assert not emulator(ARM64, {"qemu-aarch64": QEMU.replace("enabled", "disabled")})
    assert not binary_formats(tmp_path / "absent")


def test_a_foreign_run_names_the_package_that_helps() -> None:
    with pytest.raises(BuildFailed) as caught:
        refuse_foreign(Platform("linux", "s390x"), Platform("linux", "mips64le"))

    assert "qemu-user-static" in str(caught.value.hint)
    assert (
        caught.value.message
        == "RUN can't be executed: programs of linux/s390x don't run on this linux/mips64le machine"
    )


def test_a_windows_run_says_that_it_cant_be() -> None:
    with pytest.raises(BuildFailed, match="windows/amd64 don't run on Linux"):
        refuse_foreign(Platform("windows", "amd64"))


def test_a_user_namespace_is_seen_by_its_map() -> None:
    assert in_initial_user_namespace("         0          0 4294967295\n")
    assert not in_initial_user_namespace("0 1000 1\n1 100000 65536\n")
    assert not in_initial_user_namespace("")
