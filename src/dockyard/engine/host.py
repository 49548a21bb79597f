"""The only door to the kernel and to other programs: mounts, namespaces, look-ups that can't leave a tree, programs.

Everything here acts on the machine; what to do is decided elsewhere. Numbers and flags are those of Linux' own headers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dockyard
from dockyard.content import tree_removal
from dockyard.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 32, 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000

_OPENAT2, _MOUNT_SETATTR = 437, 442  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_AT_EMPTY_PATH, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 0x1000, 0x8000, 0x1
_PR_SET_PDEATHSIG = 1
_REMEDIES = {"newuidmap": "uidmap", "newgidmap": "uidmap", "cp": "coreutils"}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64), ("attr_clr", ctypes.c_uint64), ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )  # fmt: skip


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """``mount(2)``; OSError."""
    texts = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(data))
    _checked(_libc().mount(*texts), target)


def unmount(target: str, flags: int = UMOUNT_NOFOLLOW) -> None:
    """``umount2(2)``, which does not follow a link at the end; OSError."""
    _checked(_libc().umount2(os.fsencode(target), flags), target)


def make_readonly(path: str) -> None:
    """Make a mount and all mounts in it read-only (``mount_setattr(2)``, Linux 5.12); OSError."""
    wanted = _MountAttr(attr_set=_MOUNT_ATTR_RDONLY)
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    arguments = (ctypes.c_int(-100), os.fsencode(path), ctypes.c_uint(_AT_RECURSIVE), ctypes.byref(wanted), size)
    _checked(_libc().syscall(ctypes.c_long(_MOUNT_SETATTR), *arguments), path)


def unshare(flags: int) -> None:
    """Leave the shared namespaces that ``flags`` name; OSError."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when the thread that made it ends, however that ends."""
    _checked(_libc().prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(number), 0, 0, 0), "prctl")


def sync_file_system(descriptor: int) -> None:
    """Make everything durable on the file system that an open file is on (``syncfs(2)``); OSError."""
    _checked(_libc().syncfs(ctypes.c_int(descriptor)), "syncfs")


def open_inside(root: int, path: str, flags: int) -> int:
    """Open ``path`` with an open folder as its root: no ``..``, link or mount trick leads out; OSError.

    Links in ``/proc`` that jump are refused. The descriptor closes on exec.
    """
    how = _OpenHow(flags=flags | os.O_CLOEXEC, resolve=_RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    name = os.fsencode(path) or b"."
    while True:
        found = _libc().syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(name), ctypes.byref(how), size
        )
        # The kernel asks to try again where something else was renamed meanwhile.
        if found >= 0 or ctypes.get_errno() != errno.EAGAIN:
            return _checked(found, path)


def find_program(name: str) -> str:
    """Where a program is. Unavailable, which says what to install."""
    folders = os.environ.get("PATH", os.defpath)
    found = shutil.which(name, path=f"{folders}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        raise Unavailable(
            f"{name} is not installed", hint=f"Install it: on Debian, apt-get install {_REMEDIES.get(name, name)}."
        )
    return found


def run_program(words: Sequence[str]) -> str:
    """Run a program to its end and return what it wrote; Unavailable with its last words where it failed."""
    done = subprocess.run(
        [find_program(words[0]), *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, check=False,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"{words[0]} failed: {last[0] if last else f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, however deep and whatever its names; links are not followed."""
    with suppress(FileNotFoundError):
        tree_removal.remove_tree(path)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder's content with owners, times, links and attributes into a folder."""
    run_program(["cp", "-a", "--", f"{source}/.", str(target)])


def binary_formats(folder: Path = Path("/proc/sys/fs/binfmt_misc")) -> dict[str, str]:
    """The interpreters of foreign programs that the kernel knows: names, and the text that describes each."""
    found: dict[str, str] = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in {"register", "status"}:
                found[path.name] = path.read_text(errors="replace")
    return found


def in_initial_user_namespace(text: str | None = None) -> bool:
    """Whether user IDs here are the machine's own, by the text of ``/proc/self/uid_map``."""
    if text is None:
        path = Path("/proc/self/uid_map")
        text = path.read_text() if path.exists() else "0 0 4294967295"
    return text.split() == ["0", "0", "4294967295"]


def close_on_exec() -> None:
    """Keep every descriptor but the standard streams from the program that is executed next."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that listed them


def start_python(module: str, *, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start ``main`` of a module of ours in a process and session of its own, with nothing but these streams.

    It has its modules from where this process has them, and looks at no settings.
    """
    places = [place for place in sys.path if os.path.isabs(place)] + [str(Path(dockyard.__path__[0]).parent)]
    start = f"import sys; sys.path[:] = {places!r}; from {module} import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", start], stdin=stdin, stdout=stdout, stderr=stderr,
        close_fds=True, start_new_session=True, cwd="/", env={"PATH": os.environ.get("PATH", os.defpath)},
    )  # fmt: skip


def watch_parent(number: int, lives: Callable[[], bool]) -> None:
    """:func:`die_with_parent`, and end at once where the parent was gone before that took hold."""
    die_with_parent(number)
    if not lives():
        os._exit(128 + number)
