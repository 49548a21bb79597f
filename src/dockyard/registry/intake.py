"""A request's body, read ahead of whoever takes it in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from dockyard.content.protocols import CHUNK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self


class Intake:
    """Gathers a body's chunks, which servers hand over in pieces of about 56 KiB, into some of about 1 MiB.

    Use it as an asynchronous context manager; what was not taken at its end is dropped.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: BaseException | None = None
        self._enough, self._room = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    async def take(self, patience: float) -> list[bytes] | None:
        """Return chunks of about 1 MiB, or of less at the end or after ``patience`` seconds; ``None`` after all.

        When the sender broke off, its error is raised once everything before it was taken.
        """
        if not self._enough.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._enough.wait()
        if not self._waiting and self._ended:
            if self._error:
                raise self._error
            return None
        piece, self._waiting, self._size = self._waiting, [], 0
        self._room.set()
        if not self._ended:
            self._enough.clear()
        # Few chunks go on as they are: putting a megabyte together costs as much as hashing a tenth of it.
        return piece if len(piece) <= 32 else [b"".join(piece)]

    async def _read(self) -> None:
        try:
            async for chunk in self._chunks:
                self._waiting.append(chunk)
                self._size += len(chunk)
                if self._size >= CHUNK:
                    self._room.clear()
                    self._enough.set()
                    await self._room.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._enough.set()
