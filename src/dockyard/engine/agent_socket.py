"""An SSH agent's socket of a container's own: with the mode and owner that it was asked for, and gone with the command.

The machine's own socket stays where it is: it is its owner's alone, and could not be given to another user.
"""

from __future__ import annotations

import os
import selectors
import socket
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_ONCE = 16
_PIECE = 64 * 1024


@contextmanager
def forwarded(agent: str, folder: Path, name: str, *, mode: int, uid: int, gid: int) -> Iterator[Path]:
    """Listen at ``folder/name`` and pass everything on to the agent's socket, until the end. OSError."""
    path = folder / name
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener = socket.socket(socket.AF_UNIX)
        # A socket's path has at most 107 bytes.
        listener.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.close(directory)
    os.chown(path, uid, gid)
    path.chmod(mode)
    listener.listen()
    thread = Thread(target=_accept, args=(listener, agent), daemon=True)
    thread.start()
    try:
        yield path
    finally:
        # This ends accept, which closing does not.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        path.unlink(missing_ok=True)


def _accept(listener: socket.socket, agent: str) -> None:
    free = BoundedSemaphore(_AT_ONCE)
    while True:
        free.acquire()
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        Thread(target=_serve, args=(connection, agent, free), daemon=True).start()


def _serve(connection: socket.socket, agent: str, free: BoundedSemaphore) -> None:
    """Pass bytes on in both directions until one side ends."""
    try:
        with connection, socket.socket(socket.AF_UNIX) as there, suppress(OSError):
            there.connect(agent)
            with selectors.DefaultSelector() as ready:
                ready.register(connection, selectors.EVENT_READ, there)
                ready.register(there, selectors.EVENT_READ, connection)
                while True:
                    for key, _ in ready.select():
                        data = os.read(key.fd, _PIECE)
                        if not data:
                            return
                        key.data.sendall(data)
    finally:
        free.release()
