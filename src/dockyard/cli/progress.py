"""A transfer's layers, a line each: live bars on a terminal, plain lines in a pipe, as docker prints them."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from dockyard.cli.failures import plain
from dockyard.cli.tables import cut, width
from dockyard.cli.units import human_size
from dockyard.content.protocols import Status
from dockyard.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dockyard.content.protocols import Event
    from dockyard.oci.digest import Digest

PUSH: Mapping[Status, str] = {
    Status.PREPARING: "Preparing",
    Status.WAITING: "Waiting",
    Status.MOVING: "Pushing",
    Status.EXISTS: "Layer already exists",
    Status.MOUNTED: "Mounted from {detail}",
    Status.SKIPPED: "Skipped foreign layer",
    Status.DONE: "Pushed",
}
PULL: Mapping[Status, str] = {
    Status.WAITING: "Pulling fs layer",
    Status.MOVING: "Downloading",
    Status.EXISTS: "Already exists",
    Status.MOUNTED: "Already exists",
    Status.SKIPPED: "Skipped foreign layer",
    Status.DONE: "Pull complete",
}
COPY: Mapping[Status, str] = {**PUSH, Status.MOVING: "Copying", Status.DONE: "Copied", Status.EXISTS: "Already exists"}

FRAME = 0.08
"""Seconds between two frames of the bars."""

_NOT_LAYERS = media_types.MANIFESTS | media_types.CONFIGS | {media_types.OCI_EMPTY}
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Lines:
    """Progress where nobody watches: each layer's steps once, without those that move."""

    def __init__(self, words: Mapping[Status, str], stream: TextIO) -> None:
        self.words = words
        self.stream = stream
        self._said: dict[Digest, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.flush()

    def __call__(self, event: Event) -> None:
        """Print what is new about one layer."""
        if event.status is Status.MOVING or not is_shown(event, self.words):
            return
        text = describe(event, self.words)
        if self._said.get(event.blob.digest) == text:
            return
        self._said[event.blob.digest] = text
        if event.status is Status.DONE and self.words is PULL:
            print(f"{short(event.blob.digest)}: Download complete", file=self.stream)
        print(f"{short(event.blob.digest)}: {plain(text)}", file=self.stream, flush=True)


class Bars:
    """Progress on a terminal: a thread repaints what changed, one write for each frame.

    Lines never wrap: they are cut to the width of each moment. Layers that don't fit on the screen are summed up.
    """

    def __init__(
        self,
        words: Mapping[Status, str],
        stream: TextIO,
        size: Callable[[], os.terminal_size],
        *,
        frame: float = FRAME,
    ) -> None:
        self.words = words
        self.stream = stream
        self.size = size
        self.frame = frame
        self._events: dict[Digest, Event] = {}
        self._painted: list[str] = []
        self._changed = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Bars:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._paint(last=True)

    def __call__(self, event: Event) -> None:
        """Note where one layer stands; the next frame shows it."""
        if not is_shown(event, self.words):
            return
        with self._lock:
            self._events[event.blob.digest] = event
            self._changed = True

    def _run(self) -> None:
        while not self._stop.wait(self.frame):
            self._paint()

    def _paint(self, *, last: bool = False) -> None:
        columns, rows = self.size()
        with self._lock:
            if not self._changed and not last:
                return
            self._changed = False
            texts = [layer_line(event, self.words, columns) for event in self._events.values()]
        room = max(rows - 1, 1)
        if len(texts) > room and not last:
            hidden = len(texts) - room + 1
            moving = [text for event, text in zip(self._events.values(), texts, strict=False) if not _ended(event)]
            texts = [*(moving or texts)[: room - 1], f"... and {hidden} more layers"[: max(columns - 1, 1)]]
        # After the window became narrower, what was painted takes more rows than it has lines.
        above = sum(max(1, -(-width(text) // max(columns, 1))) for text in self._painted)
        up = f"\x1b[{above}A\r" if above else "\r"
        body = "".join(f"{text}{_CLEAR_LINE}\n" for text in texts)
        self._painted = texts
        try:
            self.stream.write(f"{up}{body}{_CLEAR_BELOW}")
            self.stream.flush()
        except (OSError, ValueError):
            self._stop.set()  # the terminal is gone; the transfer goes on


class Meter:
    """A file that is read, and a line on a terminal that says how far."""

    def __init__(self, file: BinaryIO, stream: TextIO) -> None:
        self._file = file
        self._stream = stream
        self._read = 0
        self._shown = 0.0
        mode = os.fstat(file.fileno())
        self._total = mode.st_size if stat.S_ISREG(mode.st_mode) else 0

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.write(f"\r{_CLEAR_LINE}")
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """Read, and say so at most every :data:`FRAME` seconds."""
        data = self._file.read(size)
        self._read += len(data)
        if time.monotonic() - self._shown > FRAME:
            self._shown = time.monotonic()
            room = terminal_size(self._stream).columns - len("Loading ") - 1
            self._stream.write(f"\rLoading {bar(self._read, self._total, room)}{_CLEAR_LINE}")
            self._stream.flush()
        return data


def progress(words: Mapping[Status, str], stream: TextIO) -> Lines | Bars:
    """The display that fits the stream: bars on a terminal that can move its cursor, else lines."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Bars(words, stream, lambda: terminal_size(stream))
    return Lines(words, stream)


def short(digest: Digest) -> str:
    """The first 12 digits."""
    return digest.hex[:12]


def is_shown(event: Event, words: Mapping[Status, str]) -> bool:
    """Whether an event is about a layer, and of a kind that this verb has a word for."""
    return event.blob.media_type not in _NOT_LAYERS and (event.status in words or event.status is Status.RETRYING)


def describe(event: Event, words: Mapping[Status, str]) -> str:
    """What a layer's state is called."""
    if event.status is Status.RETRYING:
        seconds = max(1, round(event.seconds))
        return f"Retrying in {seconds} second{'' if seconds == 1 else 's'}" + (
            f" ({event.detail})" if event.detail else ""
        )
    return words[event.status].format(detail=event.detail)


def layer_line(event: Event, words: Mapping[Status, str], columns: int) -> str:
    """One layer's line, no longer than the terminal is wide."""
    text = f"{short(event.blob.digest)}: {plain(describe(event, words))}"
    if event.status is Status.MOVING:
        room = columns - 1 - len(text) - 1
        text = f"{text} {bar(event.current, event.blob.size, room)}"
    return text if text.isascii() and len(text) < columns else cut(text, columns - 1)


def bar(current: int, total: int, room: int) -> str:
    """``[=====>     ]  12.3MB/45MB`` in at most ``room`` places; the bar goes first where there is too little room."""
    done = human_size(current)
    numbers = f"{done:>8}/{human_size(total)}" if total > 0 and current <= total else f"{done:>8}"
    length = min(50, room - len(numbers) - 4)
    if length < 5 or total <= 0:
        return numbers
    filled = min(length, length * current // total)
    return f"[{'=' * filled}>{' ' * (length - filled)}] {numbers}"


def _ended(event: Event) -> bool:
    return event.status in (Status.DONE, Status.EXISTS, Status.MOUNTED, Status.SKIPPED)


def terminal_size(stream: TextIO) -> os.terminal_size:
    """Columns and lines of a terminal; 80 and 24 where it does not say."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return os.terminal_size((80, 24))
    return os.terminal_size((size.columns or 80, size.lines or 24))
