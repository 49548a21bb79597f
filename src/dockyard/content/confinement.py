"""A process that shuts itself into one folder before it looks at what a stranger wrote.

After :func:`confine` it sees nothing but that folder, can't leave it, gains no rights, loads no code, and ends with
its parent. Source: chroot(2), prctl(2), capabilities(7), getrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from dockyard.errors import Denied

MEMORY = 1024 * 1024 * 1024
"""Bytes of address space: several times what unpacking needs."""
FILES = 64

_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 1, 28, 38
_NO_ROOT = 0b1111  # uid 0 means nothing on exec, and changes of uid give nothing back; both locked
_CAPABILITY_VERSION_3 = 0x20080522
_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _SYS_ADMIN, _MKNOD, _SETFCAP = 0, 1, 3, 4, 21, 27, 31
_KEPT = (_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _MKNOD, _SETFCAP)


def confine(folder: int, *, trusted: bool) -> None:
    """Make the open ``folder`` the whole world of this process, which must have one thread; the descriptor closes.

    Kept are the rights to own, mark and make files; ``trusted`` also keeps that to write ``trusted.*`` attributes,
    which is CAP_SYS_ADMIN. Denied where the system does not let us.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        os.fchdir(folder)
        os.chroot(".")
        os.chdir("/")
    except PermissionError:
        raise Denied(
            "this user may not shut the unpacking of layers into a folder",
            hint="Run as root, or in a user namespace as dockyard sets one up.",
        ) from None
    os.close(folder)
    os.umask(0)
    for limit, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_NOFILE, FILES)):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    # A module that is imported from now on would be one that the stranger wrote.
    for places in (sys.path, sys.meta_path, sys.path_hooks):
        places.clear()
    _drop(libc, (*_KEPT, _SYS_ADMIN) if trusted else _KEPT)


def _drop(libc: ctypes.CDLL, kept: tuple[int, ...]) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same for numbers from 32 on
    mask = sum(1 << number for number in kept)
    failed = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capget(header, sets)
    allowed = sets[1] & mask
    # Locking needs CAP_SETPCAP; who does not have it has no rights to give up that exec would bring back.
    if sets[1] & (1 << 8):
        failed = failed or libc.prctl(_PR_SET_SECUREBITS, _NO_ROOT, 0, 0, 0)
    sets[0], sets[1], sets[2], sets[3], sets[4], sets[5] = allowed, allowed, 0, 0, 0, 0
    if failed or libc.capset(header, sets):
        raise Denied(f"can't give up rights before unpacking: {os.strerror(ctypes.get_errno())}")
