"""Changes the settings file and keeps its comments and order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from typing import TYPE_CHECKING, Any

from dockyard.config import parse_value, setting
from dockyard.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tomlkit import TOMLDocument


def write_setting(path: Path, key: str, text: str) -> None:
    """Put one setting into the file, made where there is none; SettingInvalid for a value it can't have."""
    value = parse_value(key, text)
    section, _ = setting(key)
    name = key.rpartition(".")[2]

    def change(document: TOMLDocument) -> None:
        table: Any = document.setdefault(section, {}) if section else document
        # A duration stays as it was written: 12h reads better than 43200.
        table[name] = list(value) if isinstance(value, tuple) else _number(text) if isinstance(value, int) else value

    _change(path, change)


def remove_setting(path: Path, key: str) -> bool:
    """Take one setting out of the file; return whether it was there. SettingInvalid for a key there is none of."""
    section, _ = setting(key)
    name = key.rpartition(".")[2]
    found = False

    def change(document: TOMLDocument) -> None:
        nonlocal found
        table: Any = document.get(section, {}) if section else document
        found = table.pop(name, None) is not None

    if path.exists():
        _change(path, change)
    return found


def _number(text: str) -> bool | int | str:
    if text.isascii() and text.isdecimal():
        return int(text)
    lowered = text.lower()
    return lowered in ("true", "yes", "on") if lowered in ("true", "yes", "on", "false", "no", "off") else text


def _change(path: Path, change: Callable[[TOMLDocument], None]) -> None:
    """Read, change and put the file back whole: one process at a time, all or nothing, links stay links."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        mode = 0o644
        try:
            document = tomlkit.parse(path.read_bytes())
            mode = path.stat().st_mode & 0o777
        except FileNotFoundError:
            document = tomlkit.document()
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise SettingInvalid(f"{path} is not valid TOML: {error}", hint="Mend it by hand, or remove it.") from None
        change(document)
        handle, beside = tempfile.mkstemp(prefix=".config.toml.", dir=path.parent)
        try:
            with open(handle, "w", encoding="utf-8", newline="") as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        os.fsync(folder)
    finally:
        os.close(folder)
