"""The hub as a whole: its content, and whose it is. One façade for each noun, over one database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dockyard.registry.content import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from dockyard.config import ServeSettings


class Hub:
    """What the doors of the hub work with. One instance in each process."""

    def __init__(self, content: Registry, settings: ServeSettings, clock: Callable[[], float]) -> None:
        """Use :meth:`open`."""
        self.settings, self.clock = settings, clock
        self.content = content
        self.rights = content.rights

    @classmethod
    async def open(cls, settings: ServeSettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the data folder, making and migrating it where needed. Full, Unavailable, SettingInvalid."""
        return cls(await Registry.open(settings, clock=clock), settings, clock)

    async def close(self) -> None:
        """Write what is pending and let go of everything."""
        await self.content.close()
