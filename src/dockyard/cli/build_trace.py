"""A build as it was told so far: its vertices, the parts of their work, and the last lines of their output. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.cli.build_output import LineCutter
from dockyard.cli.units import human_size
from dockyard.engine.build_events import Progress

if TYPE_CHECKING:
    from dockyard.engine.build_events import BuildEvent

ENDS = frozenset({Progress.CACHED, Progress.DONE, Progress.FAILED, Progress.CANCELED})
_LEAST_SHARE, _LEAST_SECONDS, _AT_ONCE = 0.05, 5.0, 0.1
"""A part is told anew after so much of its total or so long, and for the first time after ``_AT_ONCE`` seconds."""


@dataclass(slots=True)
class Part:
    """One part of a vertex's work, such as a layer that is pulled. Times in seconds, the rest in bytes."""

    name: str
    started: float
    updated: float
    current: int = 0
    total: int = 0
    is_done: bool = False
    told_at: float | None = None
    told: int = 0
    is_over: bool = False  # told, and that it is done

    @property
    def amount(self) -> str:
        """``1.5MB / 3MB``, or ``""`` for a part that has no size."""
        if self.total:
            return f"{fixed_size(self.current)} / {fixed_size(self.total)}"
        return fixed_size(self.current) if self.current else ""

    def is_news(self, now: float) -> bool:
        """Whether enough has happened since it was told last, so that a log does not fill with it."""
        if self.is_done or self.is_over:
            return not self.is_over
        if self.told_at is None:
            return now - self.started >= _AT_ONCE
        share = (self.current - self.told) / self.total if self.total else 0.0
        return share >= _LEAST_SHARE or now - self.told_at >= _LEAST_SECONDS

    def tell(self, now: float) -> str:
        """Its line of now, which counts as told."""
        self.told_at, self.told, self.is_over = now, self.current, self.is_done
        return self.text()

    def text(self) -> str:
        """``sha256:… 1.5MB / 3MB 0.4s done``."""
        length = self.updated - self.started
        words = [self.name, self.amount, f"{length:.1f}s" if length > 0.01 else "", "done" if self.is_done else ""]
        return " ".join(word for word in words if word)


@dataclass(slots=True)
class Shown:
    """One vertex as far as it has come. ``tail`` are its last lines, each with the seconds before it."""

    number: int
    name: str
    started: float
    tail: deque[tuple[float, str]]
    ended: float | None = None
    how: Progress | None = None
    error: str = ""
    parts: dict[str, Part] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    cutters: dict[int, LineCutter] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def seconds(self, now: float) -> float:
        """How long it has taken until ``now``, or took."""
        return max((now if self.ended is None else self.ended) - self.started, 0.0)


class Trace:
    """Takes events in, and keeps for each vertex what can be shown of it. ``keep`` is how many lines of output."""

    def __init__(self, keep: int) -> None:
        self.vertices: dict[int, Shown] = {}
        self._keep = keep

    def note(self, event: BuildEvent) -> tuple[Shown, list[tuple[float, str]]]:
        """Take in an event; return its vertex, and the lines of output that are whole now."""
        vertex = self.vertices.get(event.number)
        if vertex is None:
            vertex = Shown(event.number, event.name, event.time, deque(maxlen=self._keep))
            self.vertices[event.number] = vertex
        lines: list[tuple[float, str]] = []
        if event.progress is Progress.OUTPUT:
            cutter = vertex.cutters.setdefault(event.stream, LineCutter())
            lines = list(cutter.feed(event.data, event.time))
        elif event.progress is Progress.STATUS:
            _move(vertex, event)
        elif event.progress is Progress.WARNING:
            vertex.warnings.append(event.detail)
        elif event.progress in ENDS and vertex.is_running:
            vertex.ended, vertex.how, vertex.error = event.time, event.progress, event.detail
            lines = [line for cutter in vertex.cutters.values() for line in cutter.end()]
            if event.progress is Progress.DONE:
                for part in vertex.parts.values():
                    part.is_done = True
        lines = [(max(time - vertex.started, 0.0), text) for time, text in lines]
        vertex.tail.extend(lines)
        return vertex, lines

    @property
    def warnings(self) -> list[str]:
        """What the user should know, once each."""
        return list(dict.fromkeys(text for vertex in self.vertices.values() for text in vertex.warnings))


def stamp(seconds: float) -> str:
    """The time before a line of output, in at most five places or so: ``0.123``, ``12.34``, ``123.4``."""
    return f"{seconds:.{3 if seconds < 10 else 2 if seconds < 100 else 1}f}"


def fixed_size(size: int) -> str:
    """Bytes as BuildKit prints them: ``123B``, ``3.62MB``."""
    if size < 1000:
        return f"{size}B"
    text = human_size(size, 12)
    number = text.rstrip("kMGTPEZYB")
    return f"{float(number):.2f}{text[len(number) :]}"


def _move(vertex: Shown, event: BuildEvent) -> None:
    part = vertex.parts.get(event.detail)
    if part is None:
        part = vertex.parts[event.detail] = Part(event.detail, event.time, event.time)
    part.current, part.total, part.updated = event.current, event.total, event.time
    part.is_done = 0 < part.total <= part.current
