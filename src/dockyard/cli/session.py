"""What every command starts from: the environment, the global flags, the settings, and the engine they name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dockyard.cli.failures import INTERRUPTED, say
from dockyard.config import BuildSettings, ClientSettings, config_file, load_file, resolve
from dockyard.oci.reference import familiar, parse_reference

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any

    from dockyard.content.credentials import Credentials
    from dockyard.content.http import RegistryClient
    from dockyard.engine.engine import Engine
    from dockyard.oci.reference import Reference

T = TypeVar("T")


@dataclass
class Session:
    """One run of the command line."""

    environ: Mapping[str, str]
    flags: Mapping[str, str | None]
    debug: bool = False

    @property
    def config_file(self) -> Path:
        """Where the settings file is, whether it exists or not."""
        return config_file(self.environ)

    @cached_property
    def file(self) -> dict[str, Any]:
        """The settings file's content; raises SettingInvalid."""
        return load_file(self.config_file)

    @cached_property
    def settings(self) -> ClientSettings:
        """Flags over environment over file; raises SettingInvalid."""
        return resolve(ClientSettings, flags=self.flags, environ=self.environ, file=self.file)

    @cached_property
    def build_settings(self) -> BuildSettings:
        """Environment over file; raises SettingInvalid."""
        return resolve(BuildSettings, environ=self.environ, file=self.file)

    @cached_property
    def engine(self) -> Engine:
        """The engine of the current context; raises ContextUnknown."""
        from dockyard.engine.engine import Engine

        return Engine.open(self.settings)

    def registry(self, host: str, *, credentials: Credentials | None = None, insecure: bool = False) -> RegistryClient:
        """A client of one registry, with docker's logins and our settings for it."""
        from dockyard.content.credentials import DockerConfig
        from dockyard.content.http import RegistryClient
        from dockyard.content.uploads_state import UploadSessions

        return RegistryClient(
            host,
            credentials=credentials or DockerConfig.default(self.environ),
            insecure=insecure or host in self.settings.insecure_registries,
            ca_file=self.settings.ca_file or None,
            uploads=UploadSessions(Path(self.settings.root, "uploads")),
        )

    def move(self, transfer: Coroutine[Any, Any, T]) -> T:
        """Run what moves bytes; after Ctrl-C say that nothing is lost, and end with 130."""
        import asyncio

        try:
            return asyncio.run(transfer)
        except KeyboardInterrupt:
            say("\nInterrupted. Run the same command again: it goes on where this one stopped.")
            raise click.exceptions.Exit(INTERRUPTED) from None

    def be_root(self, *, of_builds: bool = False) -> bool:
        """Go on as root of a user namespace, if we are not root and can: layers have files of many users.

        ``of_builds`` only where builds have unpacked any, for commands that may remove those. Call it before any
        thread is started. Return whether files may be given to other users.
        """
        if os.geteuid() == 0 or (of_builds and not (self.engine.images.root / "snapshots").is_dir()):
            return True
        from dockyard.engine.user_namespace import become_root

        return become_root()

    def reference(self, text: str) -> Reference:
        """Read an image name as the user means it: plain names belong to the default registry."""
        return parse_reference(text, default_registry=self.settings.default_registry)

    def familiar(self, reference: Reference) -> str:
        """The shortest name that means this image to the user."""
        return familiar(reference, default_registry=self.settings.default_registry)
