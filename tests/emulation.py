"""Python on other processors, by qemu-user: what it writes has to be what this machine writes.

x86-64 of other models runs this very Python. For arm64 one is put together from Debian's packages and the wheels of
what is installed here, once, in ``~/.cache/dockyard-tests``; that needs apt's and pip's networks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from servers import must

if TYPE_CHECKING:
    from collections.abc import Sequence

SRC = Path(__file__).parent.parent / "src"
COMPILED = ("isal", "zstandard", "msgspec")
"""Packages with machine code that ``content`` needs; those that are Python alone are taken from here."""
MODELS = ("qemu64", "Nehalem", "Haswell")
"""x86-64 processors: the first has no SSE4.2."""


def on_model(model: str, script: str, *arguments: str | Path) -> str:
    """Run a Python script on an x86-64 processor of this model; return what it prints."""
    return _run(["qemu-x86_64-static", "-cpu", model, os.path.realpath(sys.executable)], [], script, arguments)


def on_arm64(script: str, *arguments: str | Path, packages: Sequence[str] = COMPILED) -> str:
    """Run a Python script on arm64; return what it prints."""
    root = _arm64(packages)
    (python,) = (root / "usr/bin").glob("python3.[0-9]*[0-9]")
    return _run(["qemu-aarch64-static", "-L", str(root), str(python)], [root / "site"], script, arguments)


def _run(command: list[str], site: list[Path], script: str, arguments: Sequence[str | Path]) -> str:
    here = next(path for path in sys.path if path.endswith("site-packages"))
    paths = [str(path) for path in (*site, SRC, here)]
    whole = f"import sys\nsys.path[:0] = {paths!r}\n{script}"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, "-c", whole, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=250
    )

    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _arm64(packages: Sequence[str]) -> Path:
    wanted = [f"{package}=={version(package)}" for package in packages]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "dockyard-tests")
    made = cache / "-".join(["arm64", *wanted]).replace("==", "-")
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=cache))
        try:
            _unpack_debian(beside)
            _unpack_wheels(beside, wanted)
            beside.rename(made)
        except OSError:
            if not made.exists():  # somebody else was faster
                raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return made


def _unpack_debian(root: Path) -> None:
    apt = root / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Sandbox::User": "root",
        "Acquire::Languages": "none", "Dir::State::lists": f"{apt}/lists", "Dir::State::status": f"{apt}/status",
        "Dir::Cache": f"{apt}/cache", "APT::Install-Recommends": "false", "Debug::NoLocking": "true",
    }  # fmt: skip
    set_to = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    must("apt-get", "-q", *set_to, "update")
    must("apt-get", "-q", "-y", *set_to, "--download-only", "install", "python3-minimal", "libpython3-stdlib")
    for package in (apt / "cache/archives").glob("*.deb"):
        must("dpkg-deb", "-x", package, root)
    shutil.rmtree(apt)


def _unpack_wheels(root: Path, wanted: Sequence[str]) -> None:
    (python,) = (root / "usr/bin").glob("python3.[0-9]*[0-9]")
    platforms = [
        word for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
        for word in ("--platform", f"{name}_aarch64")
    ]  # fmt: skip
    number = python.name.removeprefix("python")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", *platforms]
    must(*pip, "--python-version", number, "--target", root / "site", *wanted)
