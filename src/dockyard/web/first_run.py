"""What happens once before a hub serves: its folder is opened, and somebody is, or can become, its administrator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.errors import NotFound, SettingInvalid
from dockyard.registry.access import ANONYMOUS
from dockyard.registry.hub import Hub

if TYPE_CHECKING:
    from dockyard.config import ServeSettings

LONGEST = 4096
"""Bytes of a password file that are read; a longer line is no password."""


async def prepare(settings: ServeSettings) -> str | None:
    """Open the folder once, so that what is wrong with it is said before anything starts.

    With accounts, make the administrator of the settings where there is no such user, and return the code that lets
    somebody become the first administrator, or ``None`` where there is one.
    """
    hub = await Hub.open(settings)
    try:
        if settings.auth == "none":
            return None
        await _ensure_administrator(hub, settings)
        return await hub.sign_up.setup_code()
    finally:
        await hub.close()


async def _ensure_administrator(hub: Hub, settings: ServeSettings) -> None:
    name, path = settings.admin, settings.admin_password_file
    if not name:
        return
    try:
        await hub.accounts.profile(ANONYMOUS, name)
    except NotFound:
        await hub.accounts.ensure_administrator(name, _password(name, path))


def _password(name: str, path: str) -> str:
    if not path:
        raise SettingInvalid(
            f"there is no user {name}, and no password to make one with",
            hint="Name a file that has it: --admin-password-file FILE, or DOCKYARD_ADMIN_PASSWORD_FILE.",
        )
    try:
        with Path(path).open("rb") as file:
            line = file.read(LONGEST).split(b"\n", 1)[0]
    except OSError as error:
        raise SettingInvalid(f"can't read the password file {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        password = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise SettingInvalid(f"the password file {path} is not UTF-8") from None
    if not password:
        raise SettingInvalid(f"the password file {path} has no password in its first line")
    return password
