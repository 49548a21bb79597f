"""The server: granian with several worker processes on one data folder.

The first line on stdout is the address, once it answers; where accounts have no administrator, the second one has the
link that makes the first. Logs go to stderr. SIGTERM and SIGINT end it: no new connection is taken, running transfers
end, for :data:`GRACE_SECONDS` at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import itertools
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from dockyard.errors import SettingInvalid, Unavailable
from dockyard.web import logs
from dockyard.web.app import App, create_app
from dockyard.web.exposure import check_certificate, check_exposure, warning
from dockyard.web.first_run import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dockyard.config import ServeSettings

GRACE_SECONDS = 60
"""How long running transfers may take after the signal to end."""

FIRST = "Create the first administrator: {url}/setup?code={code} (works once, for 24 hours)"
"""The second line on stdout of a hub with accounts that has no administrator yet."""

CONNECTIONS = 4096
"""Connections that one worker serves at once, idle ones included."""

# docker closes an idle connection after 90 seconds. A server that closes first makes a push fail now and then, as the
# next request is already under way.
_IDLE_MILLISECONDS = 120_000

_ENDING = (signal.SIGTERM, signal.SIGINT)

# When a worker is ready, granian stops its loop within a few turns, and runs it again once it serves. Turns tell that
# this has happened; time does not, as it passes also where a busy machine lets nothing get done.
_TURNS = 100

_GRANIAN_LOG: dict[str, Any] = {
    "formatters": {"plain": {"format": "%(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "propagate": False}},
}


def serve(settings: ServeSettings) -> None:
    """Serve until a signal says to end. SettingInvalid, Unavailable when it can't start; SystemExit when it fails."""
    check_exposure(settings)
    check_certificate(settings)
    if text := warning(settings):
        print(f"WARNING: {text}.", file=sys.stderr)
    host, port = settings.address
    with _reserve(host, port) as reserved:
        address, port = reserved.getsockname()[:2]
        listening = _address(settings, host, port)
        settings = replace(settings, url=settings.url or listening)
        code = asyncio.run(prepare(settings))
        said = [listening] if code is None else [listening, FIRST.format(url=settings.url, code=code)]
        counts = Path(tempfile.mkdtemp(prefix="dockyard-counts-"))
        workers = settings.workers or len(os.sched_getaffinity(0))
        server = Server(
            "dockyard",
            address=address,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            runtime_mode=RuntimeModes.st,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_IDLE_MILLISECONDS),
            websockets=False,
            backpressure=CONNECTIONS,
            ssl_cert=Path(settings.tls_cert) if settings.tls_cert else None,
            ssl_key=Path(settings.tls_key) if settings.tls_key else None,
            ssl_protocol_min=SSLProtocols.tls12,
            respawn_failed_workers=True,
            workers_kill_timeout=GRACE_SECONDS,
            log_level=LogLevels.error,
            log_dictconfig=_GRANIAN_LOG,
        )
        try:
            _hold_signals_over_forks()
            _after_forks(workers, partial(_announce, _probed(settings, host, port), said))
            server.serve(target_loader=partial(_load, settings, counts, os.getpid()), wrap_loader=False)
        except SystemExit:
            # Ctrl-C and systemd signal every process: a worker that ends before the first one stops it did not fail.
            if not server.interrupt_signal:
                raise
        finally:
            shutil.rmtree(counts, ignore_errors=True)


def _load(settings: ServeSettings, counts: Path, parent: int) -> App:
    """Make the application of one worker; runs in its process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    if sys.platform == "linux":
        # Workers must not hold the port without the first process: the kernel sends them SIGTERM when it dies.
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)
    return create_app(settings, counts=counts, around=_working(logs.configure(settings.log_level)))


def _hold_signals_over_forks() -> None:
    """Let a worker begin with the signals that end it held back, until :func:`_working` lets them through.

    A worker that is still starting would lose them, or hang: granian can't take one before it serves.
    """
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, _ENDING),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDING),
    )


@contextlib.contextmanager
def _working(writer: logs.BatchedWriter) -> Iterator[None]:
    _after(_TURNS, _let_it_end)
    try:
        yield
    finally:
        writer.close()


def _after(turns: int, action: Callable[[], object]) -> None:
    """Run ``action`` after so many turns of the loop."""
    asyncio.get_running_loop().call_soon(partial(_after, turns - 1, action) if turns else action)


def _let_it_end() -> None:
    """Let SIGTERM end this worker. SIGINT is left to the first process, which sends SIGTERM then.

    granian hangs when it is told twice, as when a signal goes to every process and the first one passes it on. So it
    hears one SIGINT, sent here for the first SIGTERM, and is deaf to all others.
    """
    told: list[int] = []

    def tell() -> None:
        if not told:
            told.append(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, told)
            signal.pthread_sigmask(signal.SIG_BLOCK, told)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tell)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _reserve(host: str, port: int) -> socket.socket:
    """Take the port for ourselves; ``0`` is any free one. Unavailable where somebody has it.

    Workers listen with SO_REUSEPORT, which lets two servers share a port without a word. So it is bound without that
    first, and held, bound and not listening, for as long as we run.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingInvalid(f"can't listen on {host}:{port}: {error.strerror}") from None
    reserved = socket.socket(family, kind)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(address)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        reserved.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {port} of {host} is taken by another program",
                hint=f"Choose another one, such as --listen {host}:{port + 1}, or --listen {host}:0 for any free one.",
            ) from None
        raise SettingInvalid(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    return reserved


def _probed(settings: ServeSettings, host: str, port: int) -> str:
    """Where we ask ourselves whether we answer."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return _address(settings, reachable, port)


def _address(settings: ServeSettings, host: str, port: int) -> str:
    return f"{'https' if settings.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _after_forks(count: int, action: Callable[[], object]) -> None:
    """Run ``action`` in this process after its fork number ``count``.

    A fork copies the locks that other threads hold at that moment, those inside OpenSSL among them, and in the copy
    nobody gives them back: a worker would hang at the first hash that it has not computed before. So no thread of
    ours begins while workers are still forked.
    """
    forks = itertools.count(1)
    os.register_at_fork(after_in_parent=lambda: action() if next(forks) == count else None)


def _announce(url: str, said: list[str]) -> None:
    """Print the lines as soon as the address answers."""
    threading.Thread(target=_print_when_it_answers, args=(url, said), daemon=True).start()


def _print_when_it_answers(url: str, said: list[str]) -> None:
    while not _answers(url):
        time.sleep(0.01)
    print(*said, sep="\n", flush=True)


def _answers(url: str) -> bool:
    # No proxy of the environment stands between us and ourselves, and our certificate is for another name.
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
    try:
        with opener.open(f"{url}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
