"""The vertices of a build as they run: each tells when it starts, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from dockyard.engine.build_events import BuildEvent, Progress
from dockyard.errors import DockyardError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Vertices:
    """Numbers vertices in the order that they start, from any thread, and passes on what they tell."""

    def __init__(self, tell: Callable[[BuildEvent], None], clock: Callable[[], float]) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._count = 0

    def vertex(self, name: str) -> Vertex:
        """A vertex to use in a ``with``."""
        return Vertex(self, name)

    def number(self) -> int:
        """The next number."""
        with self._lock:
            self._count += 1
            return self._count

    def tell(self, event: BuildEvent) -> None:
        """Pass an event on, one at a time."""
        with self._lock:
            self._tell(event)

    @property
    def now(self) -> float:
        """The clock's time in seconds."""
        return self._clock()


class Vertex:
    """One vertex while it runs."""

    def __init__(self, vertices: Vertices, name: str) -> None:
        self._vertices, self.name = vertices, name
        self._number = 0
        self._cached = False

    def __enter__(self) -> Self:
        self._number = self._vertices.number()
        self._say(Progress.STARTED)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
            self._say(Progress.CANCELED)
        elif error is not None:
            self._say(Progress.FAILED, error.message if isinstance(error, DockyardError) else str(error))
        elif not self._cached:
            self._say(Progress.DONE)

    def cached(self) -> None:
        """Nothing had to be done: this is how it ends."""
        self._cached = True
        self._say(Progress.CACHED)

    def output(self, data: bytes, stream: int = 1) -> None:
        """Its command wrote something."""
        self._vertices.tell(
            BuildEvent(self._number, self.name, Progress.OUTPUT, self._vertices.now, data=data, stream=stream)
        )

    def status(self, detail: str, current: int = 0, total: int = 0) -> None:
        """A part of its work goes on."""
        self._say(Progress.STATUS, detail, current, total)

    def warning(self, detail: str) -> None:
        """Something that the user should know."""
        self._say(Progress.WARNING, detail)

    def _say(self, progress: Progress, detail: str = "", current: int = 0, total: int = 0) -> None:
        now = self._vertices.now
        event = BuildEvent(self._number, self.name, progress, now, detail, current=current, total=total)
        self._vertices.tell(event)
