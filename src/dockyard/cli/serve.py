"""``dockyard serve``: a hub on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.grammar import command
from dockyard.config import ServeSettings, load_file, resolve

if TYPE_CHECKING:
    from dockyard.cli.session import Session


@command("[OPTIONS]")
@click.option("--auth", metavar="string", help="Who may do what: none lets everybody do everything (default none)")
@click.option("--config", metavar="file", help="Settings file to read instead of dockyard's own")
@click.option("--data", metavar="folder", help="Folder of blobs, journal and database")
@click.option("--insecure-open", is_flag=True, default=None, help="Allow --auth none where other machines reach it")
@click.option("--listen", metavar="address", help="Address and port; port 0 is any free one (default 127.0.0.1:5000)")
@click.option("--log-level", metavar="string", help="debug, info, warning or error (default info)")
@click.option("--sparse", is_flag=True, default=None, help="Accept manifests whose layers or children are not here")
@click.option("--upload-expiry", metavar="duration", help="Drop untouched uploads after that time (default 7d)")
@click.option("--workers", metavar="int", help="Processes that answer; 0 is one for each core")
@click.pass_obj
def serve(session: Session, /, config: str | None, **flags: Any) -> None:
    """Run a hub: a registry on this machine

    It prints its address once it answers, logs to stderr, and runs until SIGTERM or
    Ctrl-C.
    """
    named = config or session.environ.get("DOCKYARD_SERVE_CONFIG")
    file = load_file(Path(named), must_exist=True) if named else session.file
    settings = resolve(ServeSettings, flags=flags, environ=session.environ, file=file)
    # Not at the top: the web's libraries cost every other command its start.
    from dockyard.web.server import serve as serve_hub

    serve_hub(settings)
