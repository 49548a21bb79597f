"""Logs: one JSON object on each line of stderr, or plain text where a person watches.

Lines are written by a thread, many with one write, so that neither a slow terminal nor a full pipe holds up a
request. What is logged of a request is chosen field by field: no header of the client but its name, no query, and of
an upload session, whose id is the right to write to it, only the beginning.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

PAUSE = 0.05
"""Seconds that lines are gathered before they are written."""

WAITING = 100_000
"""Lines that may wait for a reader who is slower than we are; what comes then is counted and dropped."""

_PIPE = 4096  # what the kernel writes into a pipe in one piece: workers share it, and lines must stay whole


class BatchedWriter:
    """Writes lines to a file descriptor from a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._limit = _PIPE if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else 1024 * 1024
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._awake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take one line, without its end; returns at once."""
        if len(self._lines) >= WAITING:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._awake.is_set():
            self._awake.set()

    def close(self) -> None:
        """Write what is waiting, for at most a second."""
        self._closed = True
        self._awake.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._closed:
            self._awake.wait()
            if not self._closed:
                time.sleep(PAUSE)
            self._awake.clear()
            self._write_all()

    def _write_all(self) -> None:
        while self._lines or self._dropped:
            batch, size = [], 0
            while self._lines and size + len(self._lines[0]) < self._limit:
                batch.append(self._lines.popleft())
                size += len(batch[-1]) + 1
            if not batch and self._lines:
                batch.append(self._lines.popleft())
            if not self._lines and self._dropped:
                batch.append(msgspec.json.encode({"event": "log lines dropped", "count": self._dropped}))
                self._dropped = 0
            self._write(b"\n".join(batch) + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return  # nobody reads the log any more; that is no reason to stop serving


class _Logger:
    """What structlog hands finished lines to."""

    def __init__(self, writer: BatchedWriter) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = writer.write


def configure(level: str, descriptor: int = 2) -> BatchedWriter:
    """Let structlog's loggers, and the standard library's, write from ``level`` on to the descriptor."""
    writer = BatchedWriter(descriptor)
    render: structlog.typing.Processor = _text if os.isatty(descriptor) else _json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Logger(writer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(LEVELS[level], logging.WARNING), handlers=[_Bridge()], force=True)
    return writer


class _Bridge(logging.Handler):
    """Takes what libraries log with the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _json(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


def _text(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    at, level, what = event.pop("timestamp"), event.pop("level"), event.pop("event")
    trace = event.pop("exception", "")
    fields = " ".join(f"{key}={value}" for key, value in event.items())
    # What others sent stays on its line and does not drive the terminal.
    line = f"{at[11:19]} {level:7} {what}  {fields}".encode("unicode_escape" if not fields.isprintable() else "utf-8")
    return line + (f"\n{trace}".encode() if trace else b"")
