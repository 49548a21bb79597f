"""Progress of a build on a terminal: a block that is painted anew, each vertex on a line, as BuildKit paints it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from dockyard.cli.build_output import uncoloured
from dockyard.cli.build_plain import closing
from dockyard.cli.build_trace import Trace
from dockyard.cli.failures import plain
from dockyard.cli.tables import cut, width
from dockyard.engine.build_events import Progress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from dockyard.cli.build_trace import Shown
    from dockyard.engine.build_events import BuildEvent

FRAME = 0.1
"""Seconds between two frames."""
KEPT = 500
"""Lines of output that are shown at the end for a vertex that failed: nothing else has shown them."""
WINDOW = 6
"""Lines of output under a vertex that runs."""
_NARROWEST = 12
_RESET, _BLUE, _RED, _YELLOW, _FAINT = (f"\x1b[{code}m" for code in (0, 34, 31, 33, 2))
_HIDE, _SHOW, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[?25l", "\x1b[?25h", "\x1b[K", "\x1b[J"
_COLOURS = {Progress.FAILED: _RED, Progress.CANCELED: _YELLOW, Progress.DONE: _BLUE, Progress.CACHED: _BLUE}
_WORDS = {Progress.FAILED: "ERROR ", Progress.CANCELED: "CANCELED ", Progress.CACHED: "CACHED "}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the block, its colour, and whether what it is about goes on."""

    text: str
    colour: str = ""
    is_running: bool = False

    def painted(self, has_colours: bool) -> str:
        """The text as it is written."""
        return f"{self.colour}{self.text}{_RESET}" if self.colour and has_colours else self.text


class Terminal:
    """Repaints, from a thread of its own, what changed and what runs. The last painting shows everything."""

    def __init__(
        self, stream: TextIO, size: Callable[[], os.terminal_size], *, has_colours: bool = True, frame: float = FRAME
    ) -> None:
        self.stream, self.size, self.frame, self.has_colours = stream, size, frame, has_colours
        self.trace = Trace(KEPT)
        self._painted: list[Row] = []
        self._ahead = 0.0  # what the events' clock is ahead of ours
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="build progress", daemon=True)

    def __enter__(self) -> Terminal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        is_gone = self._stop.is_set()
        self._stop.set()
        self._thread.join()
        if not is_gone:
            self._paint(is_last=True)

    def __call__(self, event: BuildEvent) -> None:
        """Note what happened; the next frame shows it."""
        with self._lock:
            if not self.trace.vertices:
                self._ahead = event.time - time.monotonic()
            self.trace.note(event)

    def _run(self) -> None:
        while not self._stop.wait(self.frame):
            self._paint()

    def _paint(self, *, is_last: bool = False) -> None:
        columns, rows = self.size()
        with self._lock:
            if not self.trace.vertices:
                return
            now = time.monotonic() + self._ahead
            block = rows_of(self.trace, now, columns, 0 if is_last else rows, is_last=is_last)
            ending = closing(self.trace) if is_last else []
        # After the window became narrower, what was painted takes more rows than it has lines.
        above = sum(max(1, -(-width(row.text) // max(columns, 1))) for row in self._painted)
        body = "".join(f"{row.painted(self.has_colours)}{_CLEAR_LINE}\n" for row in block)
        tail = "".join(f"{line}\n" for line in ending)
        self._painted = block
        try:
            up = f"\x1b[{above}A\r" if above else "\r"
            self.stream.write(f"{_HIDE}{up}{body}{_CLEAR_BELOW}{tail}{_SHOW}")
            self.stream.flush()
        except (OSError, ValueError):
            self._stop.set()  # the terminal is gone; the build goes on


def rows_of(trace: Trace, now: float, columns: int, height: int, *, is_last: bool = False) -> list[Row]:
    """The block as it is to be seen; ``height`` is how many lines the terminal has, 0 for all that is needed."""
    vertices = list(trace.vertices.values())
    ended = sum(not vertex.is_running for vertex in vertices)
    since = min(vertex.started for vertex in vertices)
    finished = " FINISHED" if is_last and ended == len(vertices) else ""
    last = max((vertex.ended or now for vertex in vertices), default=now) if is_last else now
    head = f"[+] Building {max(last - since, 0.0):.1f}s ({ended}/{len(vertices)}){finished}"
    room = max(columns - 1, 1)
    lines = [(vertex, row) for vertex in vertices for row in _vertex_rows(vertex, now, room)]
    windows: dict[int, list[Row]] = {}
    if height:
        free = height - 2 - sum(row.is_running for _, row in lines)
        windows = _windows(vertices, free, room)
        lines = _fitting(lines, height - 2 - sum(map(len, windows.values())))
    rows = [Row(cut(head, room))]
    for vertex, row in lines:
        rows.append(row)
        rows += windows.pop(vertex.number, []) if row.is_running else []
    return rows


def _vertex_rows(vertex: Shown, now: float, room: int) -> list[Row]:
    how = vertex.how
    colour = _COLOURS.get(how, "") if how else ""
    name = (_WORDS.get(how, "") if how else "") + plain(vertex.name.replace("\t", " "))
    rows = [_row(f" => {name}", "", vertex.seconds(now), room, colour, vertex.is_running)]
    for part in vertex.parts.values():
        is_running = vertex.is_running and not part.is_done
        seconds = (now if is_running else part.updated) - part.started
        done = _BLUE if part.is_done else ""
        rows.append(_row(f" => => {plain(part.name)}", part.amount, seconds, room, done, is_running))
    rows += [_row(f" => WARN: {plain(text)}", "", 0.0, room, _YELLOW, False) for text in vertex.warnings]
    return [row for row in rows if row.text]


def _row(text: str, amount: str, seconds: float, room: int, colour: str, is_running: bool) -> Row:
    """Text to the left, time to the right; ``""`` on a terminal that is too narrow for both."""
    timer = f" {seconds if seconds >= 0.05 else 0.0:3.1f}s"
    left = room - len(timer)
    if left < _NARROWEST:
        return Row("")
    if amount and left - len(amount) > 20:
        text = f"{cut(text, left - len(amount) - 1)} {amount}"
    text = cut(text, left)
    return Row(text + " " * (left - width(text)) + timer, colour, is_running)


def _windows(vertices: list[Shown], free: int, room: int) -> dict[int, list[Row]]:
    """The last lines of output of vertices that run, those that say most first, while there is room."""
    speaking = sorted((vertex for vertex in vertices if vertex.is_running and vertex.tail), key=lambda v: -len(v.tail))
    windows: dict[int, list[Row]] = {}
    for vertex in speaking:
        if free <= WINDOW + 3:
            break
        texts = [uncoloured(text).replace("\t", " ") for _, text in list(vertex.tail)[-WINDOW:]]
        windows[vertex.number] = [Row(cut(f" => => # {text}", room), _FAINT) for text in texts if text.strip()]
        free -= WINDOW + 3
    return windows


def _fitting(lines: list[tuple[Shown, Row]], limit: int) -> list[tuple[Shown, Row]]:
    """The lines that fit: those of what runs, and of what ended last."""
    over = len(lines) - max(limit, 1)
    kept = []
    for line in lines:
        if over > 0 and not line[1].is_running:
            over -= 1
        else:
            kept.append(line)
    return kept[-max(limit, 1) :]
