"""A TCP proxy that counts the bytes it passes on, and can hold them back."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class CountingProxy:
    """Passes connections on to ``port`` of 127.0.0.1, and counts bytes ``sent`` to it and ``received`` from it.

    With ``hold_sent`` or ``hold_received`` nothing passes in that direction beyond that many bytes: ``reached`` is
    set, and the connections hang until :meth:`release`, as with a network that went away.
    """

    def __init__(self, port: int, *, hold_sent: int | None = None, hold_received: int | None = None) -> None:
        self._target = port
        self._limits = {"sent": hold_sent, "received": hold_received}
        self._counts = {"sent": 0, "received": 0}
        self._lock = threading.Condition()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self.reached = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def sent(self) -> int:
        return self._counts["sent"]

    @property
    def received(self) -> int:
        return self._counts["received"]

    def cut(self) -> None:
        """Close every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Count from zero, and hold nothing back from now on."""
        self.cut()
        with self._lock:
            self._counts = {"sent": 0, "received": 0}
            self._limits = {"sent": None, "received": None}
            self._lock.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, server]
            both = threading.Barrier(2, action=lambda client=client, server=server: (client.close(), server.close()))
            threading.Thread(target=self._pump, args=(client, server, "sent", both), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, "received", both), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, direction: str, both: threading.Barrier) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._may_pass(direction, len(data), source):
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        both.wait()

    def _may_pass(self, direction: str, size: int, source: socket.socket) -> bool:
        with self._lock:
            limit = self._limits[direction]
            if limit is not None and self._counts[direction] + size > limit:
                self.reached.set()
                self._lock.wait_for(lambda: self._limits[direction] is None)
                return False  # these bytes were never on the wire: the connection is of before the release
            self._counts[direction] += size
            return True
