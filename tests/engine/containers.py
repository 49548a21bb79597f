"""RUNs on a small tree of busybox, made by hand."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from dockyard.dockerfile.steps import Mount, Origin, RunAction
from dockyard.engine.running import Outcome, RunOptions, run
from dockyard.engine.snapshots import Stack

APPLETS = "sh cat id ls echo mount umount stat touch mkdir rm ln mv cp chmod chown sleep ps kill mknod ip grep test env"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:1001:\nwheel:x:10:root,ann\naudio:x:29:ann\n"


def busybox(folder: Path, *, bare: bool = False) -> Path:
    """A root folder with busybox; ``bare`` is without the folders that others mount over."""
    (folder / "bin").mkdir(parents=True)
    folder.chmod(0o755)
    shutil.copy("/bin/busybox", folder / "bin/busybox")
    for applet in APPLETS.split():
        os.symlink("busybox", folder / "bin" / applet)
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    for name in () if bare else ("proc", "sys", "dev", "tmp", "root", "run"):
        (folder / name).mkdir()
    return folder


@dataclass
class Places:
    """Where mounts find files: folders and stacks by the name of their origin."""

    found: dict[str, Path | Stack] = field(default_factory=dict)

    def find(self, origin: Origin) -> Path | Stack:
        return self.found[origin.name]


@dataclass
class Runs:
    """RUNs one after the other, on layers that are given, each in a work folder of its own."""

    folder: Path
    stack: Stack
    places: Places = field(default_factory=Places)
    out: bytes = b""
    err: bytes = b""
    options: dict[str, object] = field(default_factory=dict)
    last: Outcome | None = None
    count: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self, *words: str, user: str = "", workdir: str = "/", mounts: tuple[Mount, ...] = (),
        env: tuple[tuple[str, str], ...] = (), network: str = "default", scripts: tuple[tuple[str, str], ...] = (),
    ) -> str:  # fmt: skip
        """Run a shell command, or words where there are several; return what it wrote to standard output."""
        action = RunAction(
            words if len(words) > 1 else ("/bin/sh", "-c", words[0]), env, user, workdir, mounts, network,
            scripts=scripts,
        )  # fmt: skip
        work = self.folder / f"step{self.count}"
        self.count += 1
        work.mkdir(parents=True)
        self.out = self.err = b""
        options = RunOptions(self.folder / "cache-mounts", canceled=self.stop.is_set, **self.options)  # type: ignore[arg-type]
        self.last = run(action, self.stack, work=work, sources=self.places, options=options, output=self._take)
        return self.out.decode()

    def _take(self, data: bytes, stream: int) -> None:
        if stream == 1:
            self.out += data
        else:
            self.err += data

    def changed(self) -> dict[str, os.stat_result]:
        """What the last RUN put into its layer, by path."""
        assert self.last is not None
        upper = self.last.upper
        paths = [str(path.relative_to(upper)) for path in upper.rglob("*")]
        return {path: os.lstat(upper / path) for path in sorted(paths) if not self.last.skip(path)}

    def mounts(self) -> list[str]:
        """What of this folder is mounted on the machine."""
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.folder) in line]
