"""Trying again: when, how often, and after how long."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dockyard.errors import DockyardError, TooMany, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Unreachable(Unavailable):
    """The other side never answered at all: a wrong name or a registry that is down, which waiting rarely mends."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try again what may well work later, in seconds: backoff that doubles, with jitter.

    Tried again are :class:`TooMany` and :class:`Unavailable`, cut connections among them, but not
    :class:`Unreachable`. Where the other side said when to come back, that is kept to; more than ``patience``
    is not waited for.
    """

    tries: int = 6
    first: float = 0.4
    longest: float = 20.0
    patience: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random

    async def __call__(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        progress: Callable[[], int] | None = None,
        notify: Callable[[DockyardError, float], None] | None = None,
    ) -> T:
        """Run ``operation`` until it works or the tries are used up, then raise its last error.

        ``progress`` is a count that rises as bytes move: the tries start anew after a failure that moved some.
        ``notify`` hears of each failure and the seconds until the next try.
        """
        failures, reached = 0, progress() if progress else 0
        while True:
            try:
                return await operation()
            except (Unavailable, TooMany) as error:
                now = progress() if progress else reached
                failures, reached = (1 if now > reached else failures + 1), now
                wait = self.delay(failures, error)
                if wait is None:
                    raise
                if notify:
                    notify(error, wait)
                await self.sleep(wait)

    def delay(self, failures: int, error: Unavailable | TooMany) -> float | None:
        """Seconds to wait after that many failures in a row; ``None`` to give up."""
        if failures >= self.tries or isinstance(error, Unreachable):
            return None
        backoff: float = min(self.longest, self.first * 2 ** (failures - 1)) * (0.5 + self.random() / 2)
        if error.retry_after is None:
            return backoff
        return None if error.retry_after > self.patience else max(error.retry_after, 0.0) + backoff / 4
