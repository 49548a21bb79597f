"""Carrying out a RUN: its mounts, the container, its output as it comes, and what it changed.

The container runs in namespaces of a process of its own (engine/launch), so that nothing is left of it, mounts and
all, whoever is killed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import stat
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine import host, runc
from dockyard.engine.agent_socket import forwarded
from dockyard.engine.emulation import refuse_foreign
from dockyard.engine.launch_plan import FAILED, LaunchPlan, PlannedMount
from dockyard.engine.mount_sources import CacheMounts, find_agent, plan_secret, plan_tree
from dockyard.engine.runtime_spec import hosts_file
from dockyard.engine.seccomp import PACKAGE, PROFILE
from dockyard.errors import BuildFailed, Denied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dockyard.dockerfile.steps import RunAction
    from dockyard.engine.mount_sources import MountSources
    from dockyard.engine.snapshots import Stack
    from dockyard.oci.platform import Platform

_TURN = 0.1  # seconds until a cancellation is seen
_PATIENCE = 10.0  # seconds that a killed container gets
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What holds for every RUN. ``cache_mounts`` is their folder; ``canceled`` is asked ten times a second."""

    cache_mounts: Path
    platform: Platform | None = None  # of the stage, where it may not be the machine's
    shm_size: int = 64 * 1024 * 1024
    add_hosts: Sequence[str] = ()
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, str] = field(default_factory=dict)  # id → socket path
    canceled: Callable[[], bool] = lambda: False
    seccomp: Path = Path(PROFILE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a RUN changed: an overlayfs upper folder, and which of its paths are only mount points of ours.

    Where there are such paths, ``pure`` is false: the folder is not what the layer says.
    """

    upper: Path
    skip: Callable[[str], bool]
    pure: bool


def run(
    action: RunAction, stack: Stack, *, work: Path, sources: MountSources, options: RunOptions,
    output: Callable[[bytes, int], None],
) -> Outcome:  # fmt: skip
    """Run a command on a stack of layers; ``output`` gets what it writes to stream 1 or 2, as it comes.

    ``work`` is an empty folder on the file system of the layers. BuildFailed with the command's exit code, or where it
    can't be started; Unavailable where the machine lacks something.
    """
    if options.platform:
        refuse_foreign(options.platform)
    if action.security == "insecure":
        raise Denied("security.insecure is not allowed", hint="Remove --security=insecure from this RUN.")
    if not options.seccomp.is_file():
        raise Unavailable(
            f"{options.seccomp} is not there, and nothing is run without a seccomp profile",
            hint=f"Install it: on Debian, apt-get install {PACKAGE}.",
        )
    host.find_program("runc")
    runc.remove_dead_cgroups()
    _make_folders(work, stack)
    with ExitStack() as held:
        mounts, env = _plan_mounts(action, work, sources, options, held)
        plan = LaunchPlan(
            work=str(work), lowers=tuple(str(path) for path in stack.lowers), words=action.words,
            env=tuple({**dict(action.env), **env}.items()), user=action.user, workdir=action.workdir,
            mounts=(*_files(action, options), *mounts), network=action.network, shm_size=options.shm_size,
            cgroup=runc.cgroup_path(work.name, os.getpid()), seccomp=str(options.seccomp),
            rootless=not host.in_initial_user_namespace(), parent=os.getpid(),
        )  # fmt: skip
        code = _launch(plan, output, options.canceled)
    _judge(action, work, code)
    stubs = frozenset(json.loads((work / "stubs.json").read_text()))
    kept = _unused(work / "upper", stubs)
    return Outcome(work / "upper", kept.__contains__, not kept)


def _make_folders(work: Path, stack: Stack) -> None:
    for name in ("upper", "work", "private", "stubs", "written"):
        (work / name).mkdir()
    # The container's root folder shows the attributes of the topmost layer's.
    found = stack.lowers[-1].stat() if stack.lowers else None
    for folder in (work / "upper", work / "stubs"):
        folder.chmod(found.st_mode & 0o7777 if found else 0o755)
        if found:
            os.chown(folder, found.st_uid, found.st_gid)
            os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns))


def _files(action: RunAction, options: RunOptions) -> list[PlannedMount]:
    resolv = Path("/etc/resolv.conf")
    names = resolv.read_bytes() if resolv.is_file() else b""
    scripts = [PlannedMount("file", path, content=text.encode(), mode=0o755) for path, text in action.scripts]
    return [
        PlannedMount("file", "/etc/resolv.conf", content=names, mode=0o644),
        PlannedMount("file", "/etc/hosts", content=hosts_file(options.add_hosts).encode(), mode=0o644),
        *scripts,
    ]


def _plan_mounts(
    action: RunAction, work: Path, sources: MountSources, options: RunOptions, held: ExitStack
) -> tuple[list[PlannedMount], dict[str, str]]:
    planned: list[PlannedMount] = []
    env: dict[str, str] = {}
    caches = CacheMounts(options.cache_mounts)
    # In one order for all, so that two commands don't wait for each other's caches.
    for mount in sorted(action.mounts, key=lambda mount: (mount.type != "cache", mount.id or mount.target)):
        if mount.type == "bind":
            planned.append(plan_tree(mount, sources))
        elif mount.type == "cache":
            seed = plan_tree(mount, sources) if mount.origin else None
            planned.append(held.enter_context(caches.hold(mount, seed, options.canceled)))
        elif mount.type == "tmpfs":
            planned.append(PlannedMount("tmpfs", mount.target, size=mount.size))
        elif mount.type == "secret":
            file, variables = plan_secret(mount, options.secrets)
            env |= variables
            planned += [file] if file else []
        elif agent := find_agent(mount, options.ssh):
            env.setdefault("SSH_AUTH_SOCK", mount.target)
            listening = forwarded(
                agent, work, f"agent-{len(planned)}", mode=0o600 if mount.mode is None else mount.mode,
                uid=mount.uid or 0, gid=mount.gid or 0,
            )  # fmt: skip
            planned.append(PlannedMount("socket", mount.target, host=str(held.enter_context(listening))))
    # A folder is mounted before what is mounted in it.
    return sorted(planned, key=lambda mount: mount.target.rstrip("/").count("/")), env


def _launch(plan: LaunchPlan, output: Callable[[bytes, int], None], canceled: Callable[[], bool]) -> int:
    # In memory, and without a name: it holds secrets.
    with os.fdopen(os.memfd_create("plan"), "w+b") as told:
        told.write(plan.dump())
        told.seek(0)
        process = host.start_python(
            "dockyard.engine.launch", stdin=told.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    try:
        with process:
            try:
                _pass_on(process, output, canceled)
            except BaseException:
                _end(process)
                raise
            return process.wait()
    finally:
        runc.remove_cgroups(plan.cgroup)


def _pass_on(
    process: subprocess.Popen[bytes], output: Callable[[bytes, int], None], canceled: Callable[[], bool]
) -> None:
    with selectors.DefaultSelector() as streams:
        for number, stream in ((1, process.stdout), (2, process.stderr)):
            if stream:
                streams.register(stream, selectors.EVENT_READ, number)
        while streams.get_map():
            for key, _ in streams.select(_TURN):
                if data := os.read(key.fd, _PIECE):
                    output(data, key.data)
                else:
                    streams.unregister(key.fileobj)
            if canceled():
                _end(process)
                raise BuildFailed("canceled")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the container, and wait until it is gone."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _judge(action: RunAction, work: Path, code: int) -> None:
    if code == FAILED and (work / "failure").is_file():
        fields = json.loads((work / "failure").read_text())
        raise BuildFailed(fields["message"], hint=fields["hint"])
    if code:
        log = work / "runc.log"
        reason = runc.failure(log.read_text(errors="replace")) if log.is_file() else ""
        words = json.dumps(" ".join(action.words), ensure_ascii=False)
        raise BuildFailed(
            f"process {words} did not complete successfully: exit code: {code if code > 0 else 128 - code}",
            exit_code=code if code > 0 else 128 - code, hint=f"runc: {reason}" if reason else None,
        )  # fmt: skip


def _unused(upper: Path, stubs: frozenset[str]) -> frozenset[str]:
    """Those of our mount points that came into the layer though nothing was done with them: still empty."""
    unused: set[str] = set()
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in sorted(stubs, key=lambda path: -path.count("/")):
            with suppress(OSError):
                descriptor = host.open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
                try:
                    if _empty(descriptor, path, unused):
                        unused.add(path)
                finally:
                    os.close(descriptor)
    finally:
        os.close(root)
    return frozenset(unused)


def _empty(descriptor: int, path: str, unused: set[str]) -> bool:
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return found.st_size == 0
    # What is there may be a link by now; a folder is read through its own descriptor.
    if not stat.S_ISDIR(found.st_mode):
        return False
    return all(f"{path}/{name}" in unused for name in os.listdir(f"/proc/self/fd/{descriptor}"))
