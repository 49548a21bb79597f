"""``dockyard serve``: a hub on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.grammar import command
from dockyard.cli.hub_folder import hub_settings

if TYPE_CHECKING:
    from dockyard.cli.session import Session


@command("[OPTIONS]")
@click.option("--admin", metavar="string", help="Administrator to make at the start where there is no such user")
@click.option("--admin-password-file", metavar="file", help="File whose first line is that user's password")
@click.option("--auth", metavar="string", help="accounts, or none to let everybody do everything (default accounts)")
@click.option("--config", metavar="file", help="Settings file to read instead of dockyard's own")
@click.option("--create-on-push", is_flag=True, default=None, help="A first push makes the repository (default true)")
@click.option("--data", metavar="folder", help="Folder of blobs, journal and database")
@click.option("--insecure-http", is_flag=True, default=None, help="Allow passwords over plain http")
@click.option("--insecure-open", is_flag=True, default=None, help="Allow --auth none where other machines reach it")
@click.option("--listen", metavar="address", help="Address and port; port 0 is any free one (default 127.0.0.1:5000)")
@click.option("--log-level", metavar="string", help="debug, info, warning or error (default info)")
@click.option("--signup", metavar="string", help="Who may make an account: closed, invite or open (default closed)")
@click.option("--sparse", is_flag=True, default=None, help="Accept manifests whose layers or children are not here")
@click.option("--tls-cert", metavar="file", help="Certificate and those it hangs on, in PEM, to serve https with")
@click.option("--tls-key", metavar="file", help="Private key of the certificate, in PEM")
@click.option("--trusted-proxies", metavar="list", help="Addresses or networks whose X-Forwarded-For is believed")
@click.option("--upload-expiry", metavar="duration", help="Drop untouched uploads after that time (default 7d)")
@click.option("--url", metavar="url", help="Address that clients and browsers reach the hub at, as https://hub.example")
@click.option("--workers", metavar="int", help="Processes that answer; 0 is one for each core")
@click.pass_obj
def serve(session: Session, /, config: str | None, **flags: Any) -> None:
    """Run a hub: a registry on this machine

    It prints its address once it answers, logs to stderr, and runs until SIGTERM or
    Ctrl-C. With accounts and no administrator yet, it also prints a link that makes
    the first one.
    """
    settings = hub_settings(session, flags, config)
    # Not at the top: the web's libraries cost every other command its start.
    from dockyard.web.server import serve as serve_hub

    serve_hub(settings)
