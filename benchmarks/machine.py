"""The machine: what it is, and how fast it can be at best, measured in the same run as everything else."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from samples import Samples, Work, must, timed

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
SIZE = 1024 * MIB

SHA256 = Work("sha256 of 1 GiB, one core")
LOOPBACK = Work("1 GiB over loopback, sendfile to recv")
DISK = Work("1 GiB to the disk, dd conv=fsync")


def describe() -> list[str]:
    """Processor, memory, system, and what else was running, one line each."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    release = Path("/etc/os-release").read_text()
    name = next(line for line in release.splitlines() if line.startswith("PRETTY_NAME=")).partition("=")[2].strip('"')
    return [
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GB of memory",
        f"{name}, Linux {platform.release()}, Python {platform.python_version()}",
        f"load average before it began {os.getloadavg()[0]:.1f}",
    ]


def file_system(folder: Path) -> str:
    """The type of the file system that the folder is on."""
    return must(["stat", "--file-system", "--format", "%T", folder]).strip()


def make_blob(path: Path) -> Path:
    """A GiB of random bytes, made once and kept."""
    if not path.exists():
        half = path.with_suffix(".half")
        with half.open("wb") as file:
            for _ in range(SIZE // (16 * MIB)):
                file.write(os.urandom(16 * MIB))
        half.rename(path)
    return path


def sha256(path: Path) -> str:
    """The digest of a file, read in pieces of a MiB."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(MIB):
            hasher.update(piece)
    return hasher.hexdigest()


def loopback(path: Path) -> None:
    """Send a file from one thread to another; neither holds the interpreter's lock while the kernel copies."""
    buffer = bytearray(MIB)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def receive() -> None:
            connection, _ = listener.accept()
            with connection:
                while connection.recv_into(buffer):
                    pass

        thread = threading.Thread(target=receive)
        thread.start()
        with socket.create_connection(listener.getsockname()) as connection, path.open("rb") as file:
            connection.sendfile(file)
        thread.join()


def limits(samples: Samples, rounds: int, blob: Path, work: Path) -> None:
    """Measure what no server can beat."""
    copy = work / "copy"
    sha256(blob)  # into the page cache
    subjects: dict[Work, Callable[[], float]] = {
        SHA256: lambda: timed(lambda: sha256(blob)),
        LOOPBACK: lambda: timed(lambda: loopback(blob)),
        DISK: lambda: timed(lambda: must(["dd", f"if={blob}", f"of={copy}", "bs=1M", "conv=fsync"])),
    }
    for _ in range(rounds):
        for limit, measure in subjects.items():
            samples.add(limit, "this machine", measure())
            copy.unlink(missing_ok=True)
