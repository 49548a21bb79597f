"""Progress of a build in a pipe or a log: lines, in blocks of one vertex each, as BuildKit prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from dockyard.cli.build_output import coloured, uncoloured
from dockyard.cli.build_trace import Trace, stamp
from dockyard.cli.failures import plain
from dockyard.engine.build_events import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dockyard.cli.build_trace import Shown
    from dockyard.engine.build_events import BuildEvent

PATIENCE = 5.0
"""Seconds that one vertex may hold the floor while others have something to say."""
KEPT = 10
"""Lines of output that are said again at the end for a vertex that failed."""


class Plain:
    """Says what happens as it happens. Of vertices that run side by side one speaks at a time; the others wait.

    A stream that is gone ends the talking and nothing else.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.trace = Trace(KEPT)
        self._waiting: dict[int, list[str]] = {}
        self._speaker: int | None = None
        self._since = 0.0
        self._has_spoken = self._is_gone = False

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._waiting):
            self._speak(number, self._since)
        self._write(closing(self.trace))

    def __call__(self, event: BuildEvent) -> None:
        """Say what is new, or keep it until the vertex has the floor."""
        vertex, lines = self.trace.note(event)
        texts = self._waiting.setdefault(vertex.number, [])
        texts += [f"{stamp(seconds)} {coloured(text)}" for seconds, text in lines]
        texts += [plain(part.tell(event.time)) for part in vertex.parts.values() if part.is_news(event.time)]
        if not vertex.is_running:
            texts.append(_ending(vertex))
        self._give_floor(vertex, event.time)

    def _give_floor(self, vertex: Shown, now: float) -> None:
        """Let the vertex speak whose turn it is: who speaks goes on, who ended says so, nobody waits for long."""
        number = vertex.number
        is_free = self._speaker is None or self._speaker == number
        if is_free or not vertex.is_running or now - self._since >= PATIENCE:
            self._speak(number, now)
        if self._speaker is None:
            running = (waiting for waiting in self._waiting if self.trace.vertices[waiting].is_running)
            if (first := next(running, None)) is not None:
                self._speak(first, now)

    def _speak(self, number: int, now: float) -> None:
        vertex, texts = self.trace.vertices[number], self._waiting.pop(number)
        lines = []
        if self._speaker != number:
            if self._speaker is not None:
                lines.append(f"#{self._speaker} ...")
            lines += [""] if self._has_spoken else []
            lines.append(f"#{number} {plain(vertex.name)}")
            self._since = now
        self._has_spoken = True
        self._speaker = number if vertex.is_running else None
        self._write([*lines, *(f"#{number} {text}" for text in texts)])

    def _write(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if not text or self._is_gone:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self._is_gone = True


def closing(trace: Trace) -> list[str]:
    """What is said at the end: the last output of what failed, and the warnings."""
    lines: list[str] = []
    for vertex in trace.vertices.values():
        if vertex.how is Progress.FAILED:
            output = [f"{stamp(seconds)} {uncoloured(text)}" for seconds, text in vertex.tail]
            lines += ["------", f" > {plain(vertex.name)}:", *output, "------"]
    if warnings := trace.warnings:
        lines += ["", f" {len(warnings)} warning{'s' if len(warnings) > 1 else ''} found:"]
        lines += [f" - {plain(text)}" for text in warnings]
    return lines


def _ending(vertex: Shown) -> str:
    if vertex.how is Progress.CACHED:
        return "CACHED"
    if vertex.how is Progress.CANCELED:
        return "CANCELED"
    if vertex.how is Progress.FAILED:
        return f"ERROR: {plain(vertex.error)}"
    return f"DONE {vertex.seconds(vertex.started):.1f}s"
