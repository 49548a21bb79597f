"""What runc is told about a RUN: its ``config.json``. Pure: reads nothing, writes nothing.

Source: OCI runtime specification, ``config.md`` and ``config-linux.md``; the defaults are docker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dockyard.engine.users import Identity

HOSTNAME = "buildkitsandbox"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# As dockerd has them from systemd; a hard limit may not be raised, so the machine's own counts where it is lower.
OPEN_FILES = (1024, 524288)
_UMASK = 0o022


@dataclass(frozen=True, slots=True)
class SpecMount:
    """One more mount: ``bind`` of a ``source`` that is ready on the machine, or a ``tmpfs``."""

    target: str
    source: str = "tmpfs"
    type: str = "bind"
    readonly: bool = False
    options: tuple[str, ...] = ()


def build_spec(
    *, words: Sequence[str], env: Mapping[str, str], workdir: str, identity: Identity, mounts: Sequence[SpecMount],
    network: str, shm_size: int, seccomp: Mapping[str, Any], cgroup: str, rootless: bool = False,
    open_files: tuple[int, int] = OPEN_FILES, tty_group: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The runtime config for one command. ``mounts`` are mounted in their order, after /proc, /dev and /sys.

    ``cgroup`` is a path for the cgroup, which a ``rootless`` run (one in a user namespace) has none of.
    ``tty_group`` is whether the group of terminals is there to be given.
    """
    soft, hard = open_files
    namespaces = ["mount", "pid", "ipc", "uts", *([] if rootless else ["cgroup"])]
    namespaces += ["network"] if network == "none" else []
    linux: dict[str, Any] = {
        "namespaces": [{"type": name} for name in namespaces],
        "maskedPaths": list(MASKED),
        "readonlyPaths": list(READ_ONLY),
        "seccomp": dict(seccomp),
    }
    if not rootless:
        linux |= {"cgroupsPath": cgroup, "resources": {"devices": [{"allow": False, "access": "rwm"}]}}
    base = _base_mounts(shm_size, rootless=rootless, own_network=network == "none", tty_group=tty_group)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": _user(identity),
            "args": list(words),
            "env": [f"{key}={value}" for key, value in {"PATH": PATH, **env}.items()],
            "cwd": workdir or "/",
            "capabilities": _capabilities(identity.uid),
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": min(soft, hard), "hard": hard}],
            "noNewPrivileges": False,
        },
        "root": {"path": "rootfs"},
        "hostname": HOSTNAME,
        "mounts": [*base, *(_mount(mount) for mount in mounts)],
        "linux": linux,
    }


def hosts_file(add_hosts: Sequence[str]) -> str:
    """The text of /etc/hosts: this machine, and each ``name:address`` or ``name=address``."""
    lines = [f"127.0.0.1\tlocalhost {HOSTNAME}", "::1\tlocalhost ip6-localhost ip6-loopback"]
    for entry in add_hosts:
        cut = entry.index("=") if "=" in entry else entry.index(":")
        name, address = entry[:cut], entry[cut + 1 :].strip("[]")
        # The container has the machine's own network: the machine is where it is itself.
        lines.append(f"{'127.0.0.1' if address == 'host-gateway' else address}\t{name}")
    return "\n".join(lines) + "\n"


def _user(identity: Identity) -> dict[str, Any]:
    # A file that keeps out its group keeps it out also behind a setgid program: docker's CVE-2022-36109.
    groups = list(dict.fromkeys([identity.gid, *identity.groups]))
    return {"uid": identity.uid, "gid": identity.gid, "umask": _UMASK, "additionalGids": groups}


def _capabilities(uid: int) -> dict[str, list[str]]:
    granted = list(CAPABILITIES)
    if uid:
        # What execve leaves to somebody who is not root.
        return {"bounding": granted}
    return {"bounding": granted, "effective": granted, "permitted": granted}


def _mount(mount: SpecMount) -> dict[str, Any]:
    options = ["rbind", "rprivate"] if mount.type == "bind" else []
    options += [*mount.options, "ro" if mount.readonly else "rw"]
    return {"destination": mount.target, "type": mount.type, "source": mount.source, "options": options}


def _base_mounts(shm_size: int, *, rootless: bool, own_network: bool, tty_group: bool) -> list[dict[str, Any]]:
    closed = ["nosuid", "noexec", "nodev"]
    tty = ["gid=5"] if tty_group else []
    found = [
        ("/proc", "proc", "proc", closed),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *tty]),
        ("/dev/shm", "tmpfs", "shm", [*closed, "mode=1777", f"size={shm_size}"]),  # noqa: S108 - the container's
        ("/dev/mqueue", "mqueue", "mqueue", closed),
    ]
    if rootless and not own_network:
        # sysfs shows the network, which is not the user namespace's own: the kernel refuses a fresh one.
        found.append(("/sys", "bind", "/sys", [*closed, "rbind", "rslave", "ro"]))
    else:
        found.append(("/sys", "sysfs", "sysfs", [*closed, "ro"]))
    if not rootless:
        found.append(("/sys/fs/cgroup", "cgroup", "cgroup", [*closed, "relatime", "ro"]))
    return [
        {"destination": target, "type": kind, "source": source, "options": options}
        for target, kind, source, options in found
    ]
