"""How a build is shown: lines, a painted block, JSON for programs, or nothing but what failed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from dockyard.cli.build_plain import KEPT, Plain, closing
from dockyard.cli.build_trace import ENDS, Trace
from dockyard.cli.build_tty import Terminal
from dockyard.cli.progress import terminal_size
from dockyard.engine.build_events import Progress
from dockyard.engine.times import text as moment_text
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from dockyard.engine.build_events import BuildEvent


class Display(Protocol):
    """Shows a build from the beginning of a ``with`` to its end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, event: BuildEvent) -> None:
        """Take in one thing that happened; from any thread, one at a time."""


class Quiet:
    """Shows nothing, unless something fails."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.trace = Trace(KEPT)

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        if any(vertex.how is Progress.FAILED for vertex in self.trace.vertices.values()):
            _write(self.stream, "".join(f"{line}\n" for line in closing(self.trace)))

    def __call__(self, event: BuildEvent) -> None:
        """Remember it."""
        self.trace.note(event)


class RawJson:
    """One JSON object a line, with the fields of BuildKit's SolveStatus, for programs that read those."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self.stream, self.clock = stream, clock
        self.trace = Trace(0)
        self._ahead: float | None = None

    def __enter__(self) -> RawJson:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: BuildEvent) -> None:
        """Write one line."""
        if self._ahead is None:
            self._ahead = self.clock() - event.time
        vertex, _ = self.trace.note(event)
        status: dict[str, Any] = {}
        key, now = _key(event), self._text(event.time)
        if event.progress is Progress.OUTPUT:
            data = base64.b64encode(event.data).decode()
            status["logs"] = [{"vertex": key, "stream": event.stream, "data": data, "timestamp": now}]
        elif event.progress is Progress.STATUS:
            status["statuses"] = [self._part(key, vertex.parts[event.detail])]
        elif event.progress is Progress.WARNING:
            short = base64.b64encode(event.detail.encode()).decode()
            status["warnings"] = [{"vertex": key, "level": 1, "short": short}]
        else:
            shown: dict[str, Any] = {"digest": key, "name": event.name, "started": self._text(vertex.started)}
            if event.progress in ENDS:
                shown["completed"] = now
                status["statuses"] = [self._part(key, part) for part in vertex.parts.values()]
            if event.progress is Progress.CACHED:
                shown["cached"] = True
            if event.progress in (Progress.FAILED, Progress.CANCELED):
                shown["error"] = event.detail if event.progress is Progress.FAILED else "context canceled"
            status["vertexes"] = [shown]
        known = {name: value for name, value in status.items() if value}
        _write(self.stream, json.dumps(known, separators=(",", ":")) + "\n")

    def _part(self, key: str, part: Any) -> dict[str, Any]:
        fields = {
            "id": part.name,
            "vertex": key,
            "total": part.total,
            "current": part.current,
            "timestamp": self._text(part.updated),
            "started": self._text(part.started),
        }
        return fields | ({"completed": self._text(part.updated)} if part.is_done else {})

    def _text(self, moment: float) -> str:
        return moment_text(moment + (self._ahead or 0.0))


def build_progress(kind: str, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Display:
    """The display of one kind: auto, plain, quiet, rawjson or tty. Invalid: ``tty`` where there is no terminal."""
    can_move = stream.isatty() and environ.get("TERM", "dumb") != "dumb"
    if kind == "tty" and not can_move:
        raise Invalid("--progress=tty needs a terminal", hint="--progress=plain prints lines.")
    if kind == "quiet":
        return Quiet(stream)
    if kind == "rawjson":
        return RawJson(stream)
    if kind == "plain" or not can_move:
        return Plain(stream)
    return Terminal(stream, lambda: terminal_size(stream), has_colours="NO_COLOR" not in environ)


def _key(event: BuildEvent) -> str:
    """What names a vertex within one build; readers take it for a digest."""
    return "sha256:" + hashlib.sha256(f"{event.number} {event.name}".encode()).hexdigest()


def _write(stream: TextIO, text: str) -> None:
    """Write, unless the stream is gone: that is no reason for a build to fail."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        pass
