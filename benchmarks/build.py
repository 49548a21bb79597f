"""The standard image built from folders by installed commands: from nothing, all of it cached, one file new."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from running import DOCKYARD, environment
from samples import Samples, Work, must, timed

from dockyard.content.frame_format import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Work("build the standard image", note="COPY of all, three layers, no cache")
CACHED = Work("build it again, everything cached")
CHANGED = Work("build it again, one file of the big layer new", note="at most 64 KiB, replaced by rename")
SAME = Work("bytes of that layer in frames as before", unit="%")
MEMORY = {size: Work(f"memory to build with a file of {size} MiB", unit="MiB") for size in (64, 4096)}

PARTS = ("base", "packages", "app")
DOCKERFILE = "FROM scratch\n" + "".join(f"COPY {part} /\n" for part in PARTS) + 'CMD ["python3"]\n'
NAME = "bench/built:1"
LARGEST = 64 * 1024
"""How large the file may be that changes."""


class Builder(Protocol):
    """A command that builds images, with a store of its own."""

    name: str

    def build(self, context: Path, *, cache: bool = True) -> None:
        """Build a folder."""

    def forget(self) -> None:
        """Remove what was built, the cache included."""


class Dockyard:
    """Our command."""

    name = "dockyard"

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.env = environment(folder / "home") | {"DOCKYARD_ROOT": str(self.store)}

    def build(self, context: Path, *, cache: bool = True) -> None:
        must(self.command(context, cache=cache), env=self.env)

    def command(self, context: Path, *, cache: bool = True) -> list[str | Path]:
        return [DOCKYARD, "build", "--quiet", *([] if cache else ["--no-cache"]), "--tag", NAME, context]

    def forget(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)

    def layer(self, number: int) -> Path:
        """A layer of what was built, as a blob."""
        layout = self.store.parent / "layout"
        shutil.rmtree(layout, ignore_errors=True)
        must([DOCKYARD, "copy", "--quiet", f"engine:{NAME}", f"oci:{layout}:built"], env=self.env)
        return layers_of(layout)[number]


class Buildah:
    """buildah with an overlay store of its own, and a layer for each instruction as the others make them."""

    name = "buildah"

    def __init__(self, folder: Path) -> None:
        self.env = environment(folder / "home")
        settings = folder / "home/.config/containers"
        settings.mkdir(parents=True)
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.store = folder / "store"
        self.command = ["buildah", f"--root={self.store}", f"--runroot={folder}/run", "--storage-driver=overlay"]

    def build(self, context: Path, *, cache: bool = True) -> None:
        cold = [] if cache else ["--no-cache"]
        chosen = ["--isolation=chroot", "--format=docker", "--layers", *cold]
        must([*self.command, "bud", "--quiet", *chosen, "--tag", NAME, context], env=self.env)

    def forget(self) -> None:
        must([*self.command, "rmi", "--all", "--force"], env=self.env)

    def close(self) -> None:
        """Unmount the store, which is mounted onto itself."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        if str(self.store / "overlay") in mounts:
            must(["umount", self.store / "overlay"])


class Docker:
    """docker's own builder, which its daemon is without BuildKit; the daemon is ours, and has no network."""

    name = "docker"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        # A socket's path may have 107 bytes.
        self.folder, self.socket = folder, Path(f"/tmp/dockyard-bench.{os.getpid()}.sock")
        self.env = environment(folder / "home") | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}
        (folder / "daemon.json").write_text("{}")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "dockerd", "--config-file", folder / "daemon.json", "--host", f"unix://{self.socket}",
                    "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid",
                    "--iptables=false", "--ip6tables=false", "--bridge=none",
                ],
                env=environment(folder / "home"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "version"], env=self.env, capture_output=True).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                sys.exit(f"dockerd did not start:\n{(folder / 'log').read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)

    def build(self, context: Path, *, cache: bool = True) -> None:
        cold = [] if cache else ["--no-cache"]
        must(["docker", "build", "--quiet", *cold, "--tag", NAME, context], env=self.env)

    def forget(self) -> None:
        must(["docker", "image", "rm", "--force", NAME], env=self.env)
        must(["docker", "image", "prune", "--force"], env=self.env)

    def close(self) -> None:
        """End the daemon, and the containerd that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.socket.unlink(missing_ok=True)


@contextlib.contextmanager
def builders(work: Path) -> Iterator[dict[str, Builder]]:
    """The commands side by side. docker's daemon wants root."""
    with contextlib.ExitStack() as stack:
        made: list[Builder] = [Dockyard(work / "build-dockyard")]
        buildah = Buildah(work / "build-buildah")
        stack.callback(buildah.close)
        made.append(buildah)
        if os.geteuid() == 0:
            docker = Docker(work / "build-docker")
            stack.callback(docker.close)
            made.append(docker)
        yield {builder.name: builder for builder in made}


def builds(samples: Samples, rounds: int, work: Path, layout: Path) -> None:
    """Every builder over one context, taking turns."""
    context = unpack(layout, work / "context")
    file = small_file(context / "packages")
    with builders(work) as subjects:

        def cold(name: str) -> float:
            subjects[name].forget()
            return timed(lambda: subjects[name].build(context, cache=False))

        for builder in subjects.values():
            builder.build(context)
        samples.alternate(BUILD, rounds, subjects, cold)
        for builder in subjects.values():
            builder.build(context)
        samples.alternate(CACHED, rounds, subjects, lambda name: timed(lambda: subjects[name].build(context)))
        ours = subjects["dockyard"]
        assert isinstance(ours, Dockyard)
        before = ours.layer(PARTS.index("packages"))
        known = contents(before)

        def one_new(name: str) -> float:
            replace(file)
            return timed(lambda: subjects[name].build(context))

        samples.alternate(CHANGED, rounds, subjects, one_new)
        after = contents(ours.layer(PARTS.index("packages")))
        samples.add(SAME, ours.name, 100 * (known & after).total() / after.total())
        shutil.rmtree(context)
        for size in MEMORY:
            samples.add(MEMORY[size], ours.name, memory(ours, work / "big", size))


def unpack(layout: Path, context: Path) -> Path:
    """The standard image as a build context: a folder for each layer. Devices stay out: not every builder takes any."""
    for part, layer in zip(PARTS, layers_of(layout), strict=True):
        (context / part).mkdir(parents=True)
        must(["tar", "-xf", layer, "-C", context / part, "--exclude=./dev/*"])
    (context / "Dockerfile").write_text(DOCKERFILE)
    return context


def layers_of(layout: Path) -> list[Path]:
    """The layers of the only image of a layout, lowest first."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    (image,) = json.loads((layout / "index.json").read_text())["manifests"]
    return [blob(layer["digest"]) for layer in json.loads(blob(image["digest"]).read_text())["layers"]]


def small_file(folder: Path) -> Path:
    """A file in the middle of the folder, of 32 to 64 KiB."""
    fitting = [path for path in sorted(folder.rglob("*.py")) if LARGEST // 2 <= path.stat().st_size <= LARGEST]
    return fitting[len(fitting) // 2]


def replace(file: Path) -> None:
    """Give the file other content of the same size, as an editor does: written aside and renamed."""
    aside = file.with_name(file.name + ".new")
    aside.write_bytes(random.randbytes(file.stat().st_size))
    aside.rename(file)


def contents(blob: Path) -> Counter[bytes]:
    """The frames of a blob: how many bytes each has, by what is in it."""
    counted: Counter[bytes] = Counter()
    data = blob.read_bytes()
    for frame in frames(blob):
        counted[hashlib.sha256(data[frame.offset : frame.offset + frame.size]).digest()] += frame.size
    if not counted:
        sys.exit(f"{blob} is not made of frames")
    return counted


def memory(dockyard: Dockyard, context: Path, size: int) -> float:
    """MiB that the largest process of a build has in memory, with one file of ``size`` MiB that is hard to compress."""
    context.mkdir()
    noise = random.randbytes(1 << 20)
    with (context / "big").open("wb") as file:
        for number in range(size):
            file.write(noise[number:] + noise[:number])
    (context / "Dockerfile").write_text("FROM scratch\nCOPY big /\n")
    dockyard.forget()
    command = [str(part) for part in dockyard.command(context)]
    process = subprocess.Popen(command, env=dockyard.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, *(high_water(pid) for pid in (process.pid, *children(process.pid))))
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"the build of a file of {size} MiB failed")
    shutil.rmtree(context)
    return peak / 1024


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def high_water(pid: int) -> int:
    """The most KiB that a process has had in memory. What wait4 says counts the parent's before exec, too."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return 0
