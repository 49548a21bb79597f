"""The process that launches one container; its plan is on its standard input (host.start_python).

It leaves the machine's mounts and processes, and its child, the first process of a new process namespace, makes the
container's mounts ready and becomes runc. So whoever of them is killed, and however, takes the container and every
mount along: all of them are in namespaces that end with it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine import host, runc
from dockyard.engine.launch_mounts import Preparation
from dockyard.engine.launch_plan import FAILED, LaunchPlan
from dockyard.engine.overlays import make_stubs, mount_overlay
from dockyard.engine.runtime_spec import CAPABILITIES, OPEN_FILES, SpecMount, build_spec
from dockyard.engine.seccomp import runtime_seccomp
from dockyard.engine.users import Identity, identify
from dockyard.errors import DockyardError, Unavailable
from dockyard.oci.platform import host_platform

if TYPE_CHECKING:
    from typing import Any, NoReturn

_RIGHTS = "RUN needs user namespaces, or root with the right to mount: a container needs --privileged for that."
_LARGEST = 4 * 1024 * 1024  # bytes of etc/passwd that are read


def main() -> int:
    """Run the container to its end; return its exit code, or FAILED with the reason in a file."""
    plan = LaunchPlan.load(sys.stdin.buffer.read())
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    work = Path(plan.work)
    try:
        host.watch_parent(signal.SIGKILL, lambda: os.getppid() == plan.parent)
        host.unshare(host.CLONE_NEWNS | host.CLONE_NEWPID)
        host.mount("none", "/", flags=host.MS_REC | host.MS_SLAVE)
    except OSError as error:
        return _fail(work, f"can't make namespaces: {error.strerror}", _RIGHTS)
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there)
        _become_container(plan, work, here)
    os.close(here)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    # Only once nothing is left in the child's process namespace does it end for us.
    _, status = os.waitpid(child, 0)
    with suppress(OSError):
        host.unmount(str(work / "private/bundle/rootfs"))
    runc.remove_cgroups(plan.cgroup)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become_container(plan: LaunchPlan, work: Path, parent: int) -> NoReturn:
    try:
        host.watch_parent(signal.SIGKILL, lambda: not select.select([parent], [], [], 0)[0])
        words = _prepare(plan, work)
        host.close_on_exec()
        os.execve(words[0], words, {"PATH": os.environ.get("PATH", os.defpath)})  # noqa: S606 - runc, from a list
    except DockyardError as error:
        os._exit(_fail(work, error.message, error.hint))
    except OSError as error:
        os._exit(_fail(work, f"can't make the container's files ready: {error}"))
    except BaseException as error:  # nothing may return into the parent's code
        os._exit(_fail(work, f"can't launch the container: {error!r}"))


def _prepare(plan: LaunchPlan, work: Path) -> list[str]:
    """Make everything ready that runc needs; return how it is called."""
    host.mount("proc", "/proc", "proc", host.MS_NOSUID | host.MS_NODEV | host.MS_NOEXEC)
    if plan.rootless:
        host.make_readonly("/sys")
    private = work / "private"
    host.mount("tmpfs", str(private), "tmpfs", host.MS_NOSUID | host.MS_NODEV, "mode=0700")
    rootfs = private / "bundle/rootfs"
    for folder in (rootfs, private / "look"):
        folder.mkdir(parents=True)
    lowers = [Path(lower) for lower in plan.lowers]
    mount_overlay(private / "look", lowers, private / "look-links", rootless=plan.rootless)
    root = os.open(private / "look", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        identity = identify(plan.user, _text(root, "etc/passwd"), _text(root, "etc/group"))
        mounts = Preparation(plan, private, work / "written")
        prepared = [mounts.prepare(mount) for mount in plan.mounts]
        spec = _spec(plan, identity, prepared)
        if stubs := make_stubs(root, work / "stubs", _mount_points(spec)):
            lowers.append(work / "stubs")
    finally:
        os.close(root)
    (work / "stubs.json").write_text(json.dumps(stubs))
    host.unmount(str(private / "look"))
    try:
        mount_overlay(rootfs, lowers, private / "links", upper=work / "upper", rootless=plan.rootless)
    except OSError as error:
        raise Unavailable(
            f"can't mount layers in {work}: {error.strerror}",
            hint="Keep the store (--root) on a file system that overlayfs can write to: ext4, xfs, btrfs or tmpfs.",
        ) from None
    (private / "bundle/config.json").write_text(json.dumps(spec))
    return runc.run_words(private / "state", private / "bundle", work / "runc.log")


def _spec(plan: LaunchPlan, identity: Identity, mounts: list[SpecMount]) -> dict[str, Any]:
    machine = os.uname()
    soft, hard = OPEN_FILES
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if own != resource.RLIM_INFINITY:
        hard = min(hard, own)  # root too may lack the right to raise it
    architecture = host_platform("linux", machine.machine).architecture
    profile = json.loads(Path(plan.seccomp).read_bytes())
    seccomp = runtime_seccomp(profile, architecture=architecture, capabilities=CAPABILITIES, kernel=machine.release)
    groups = [line.split() for line in Path("/proc/self/gid_map").read_text().splitlines()]
    return build_spec(
        words=plan.words, env=dict(plan.env), workdir=plan.workdir, identity=identity, mounts=mounts,
        network=plan.network, shm_size=plan.shm_size, seccomp=seccomp, cgroup=plan.cgroup, rootless=plan.rootless,
        open_files=(soft, hard), tty_group=any(int(first) <= 5 < int(first) + int(size) for first, _, size in groups),
    )  # fmt: skip


def _mount_points(spec: dict[str, Any]) -> list[tuple[str, bool]]:
    """Where runc mounts, each with whether it is a folder; what lies in a mount that is made anew needs none."""
    found: list[tuple[str, bool]] = []
    for mount in spec["mounts"]:
        target = mount["destination"]
        if not any(target.startswith(f"{other}/") for other, _ in found):
            found.append((target, mount["type"] != "bind" or os.path.isdir(mount["source"])))
    return found


def _text(root: int, path: str) -> str:
    """A file of the image, empty where it is none; what is no regular file is not read."""
    try:
        descriptor = host.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(_LARGEST).decode(errors="replace")


def _fail(work: Path, message: str, hint: str | None = None) -> int:
    with suppress(OSError):
        (work / "failure").write_text(json.dumps({"message": message, "hint": hint}))
    return FAILED
