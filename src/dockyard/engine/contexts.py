"""Contexts: engines on one machine, each with a store of its own for one platform.

::

    ROOT/contexts/<name>/               the store (engine/images)
    ROOT/contexts/<name>/context.json   platform, when it was made; ``default`` needs none
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING

from dockyard.content.folders import make_folder, storage_errors, sync_folder
from dockyard.engine.answers import Context
from dockyard.errors import Conflict, ContextUnknown, Invalid
from dockyard.oci.platform import Platform, host_platform

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "default"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]{1,127}", re.ASCII)
_FILE = "context.json"


class Contexts:
    """The contexts below one root folder. Which one is current is a setting."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "contexts"

    def get(self, name: str) -> Context:
        """Return a context; ``default`` is always there, for Linux on this machine's processor. ContextUnknown."""
        check_name(name)
        folder = self.folder / name
        try:
            fields = json.loads((folder / _FILE).read_bytes())
            return Context(
                name,
                Platform.parse(fields["platform"]),
                str(folder),
                float(fields["created"]),
                str(fields.get("description", "")),
            )
        except (FileNotFoundError, NotADirectoryError):
            if name == DEFAULT:
                return Context(name, host_platform("linux", os.uname().machine), str(folder))
            raise ContextUnknown(
                f'context "{name}" does not exist', hint="'dockyard context ls' lists those that do."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid(f"{folder / _FILE} is damaged: {error}") from None

    def list(self) -> list[Context]:
        """Every context by name, ``default`` first."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if _NAME.fullmatch(entry.name))
        except FileNotFoundError:
            names = []
        others = [name for name in names if name != DEFAULT and (self.folder / name / _FILE).exists()]
        return [self.get(name) for name in (DEFAULT, *others)]

    def create(self, name: str, platform: Platform, *, description: str = "", now: float | None = None) -> Context:
        """Make a context with an empty store. Conflict where the name is taken."""
        check_name(name)
        made = time.time() if now is None else now
        folder = self.folder / name
        fields = {"platform": _text(platform), "created": made, "description": description}
        with storage_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            make_folder(self.folder)
            make_folder(folder)
            beside = folder / f".{os.urandom(8).hex()}"
            try:
                with beside.open("x") as file:
                    json.dump(fields, file)
                    file.flush()
                    os.fsync(file.fileno())
                if name == DEFAULT:
                    raise FileExistsError
                os.link(beside, folder / _FILE)  # unlike a rename, this can't replace another's
            except FileExistsError:
                raise Conflict(f'context "{name}" already exists') from None
            finally:
                beside.unlink(missing_ok=True)
            sync_folder(folder)
        return self.get(name)

    def remove(self, name: str) -> None:
        """Delete a context and its images. ContextUnknown; Conflict for ``default``."""
        if name == DEFAULT:
            raise Conflict('context "default" cannot be removed')
        folder = self.folder / self.get(name).name
        with storage_errors(self.folder):
            # Out of sight at once; what is left of it after a crash has no valid name.
            gone = self.folder / f".removed-{os.urandom(8).hex()}"
            folder.rename(gone)
            sync_folder(self.folder)
            import shutil

            shutil.rmtree(gone, ignore_errors=True)


def check_name(name: str) -> None:
    """Raise Invalid unless ``name`` can name a context."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f'context name "{name}" is invalid: names have 2 to 128 letters, digits, "_", ".", "+" and "-", '
            "and begin with a letter or a digit"
        )


def _text(platform: Platform) -> str:
    version = f"({platform.os_version})" if platform.os_version else ""
    return "/".join(part for part in (platform.os + version, platform.architecture, platform.variant) if part)
