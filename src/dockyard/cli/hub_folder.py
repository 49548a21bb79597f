"""The folder of a hub on this machine, opened by commands that administer it; the hub may run meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dockyard.config import ServeSettings, load_file, resolve
from dockyard.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dockyard.cli.session import Session
    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub

T = TypeVar("T")

data_option = click.option("--data", metavar="folder", help="Folder of the hub (default as for dockyard serve)")


def hub_settings(session: Session, flags: Mapping[str, Any], config: str | None = None) -> ServeSettings:
    """The settings of a hub: flags over environment over file, which is ``config`` where it is given."""
    named = config or session.environ.get("DOCKYARD_SERVE_CONFIG")
    file = load_file(Path(named), must_exist=True) if named else session.file
    return resolve(ServeSettings, flags=flags, environ=session.environ, file=file)


def on_hub(session: Session, data: str | None, act: Callable[[Hub, Actor], Awaitable[T]], *, first: bool = False) -> T:
    """Do something with the hub whose folder ``data`` is, or the one of the settings, as who has the machine.

    With ``first``, a folder that is empty or absent becomes a hub's. NotFound where it is no hub's folder, and what
    ``act`` raises.
    """
    settings = replace(hub_settings(session, {"data": data}), auth="accounts")
    folder = Path(settings.data)
    made = first and not (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    if not made and not (folder / "hub.db").is_file():
        wrong = "is not a hub's folder: it has no hub.db" if folder.is_dir() else "does not exist"
        raise NotFound(f"{folder} {wrong}", hint="Name the folder that dockyard serve has: --data FOLDER.")
    # Not at the top: the registry's libraries cost every other command its start.
    from dockyard.registry.accounts import SYSTEM
    from dockyard.registry.hub import Hub

    async def opened() -> T:
        hub = await Hub.open(settings)
        try:
            return await act(hub, SYSTEM)
        finally:
            await hub.close()

    return asyncio.run(opened())
