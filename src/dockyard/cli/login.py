"""``dockyard login`` and ``logout``: docker's logins, kept where docker keeps them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dockyard.cli.grammar import command
from dockyard.cli.hubs import host_in
from dockyard.cli.session import Session
from dockyard.errors import Invalid, Unauthenticated
from dockyard.oci.reference import DOCKER_HUB

if TYPE_CHECKING:
    from dockyard.content.credentials import DockerConfig, Login

_INSECURE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
_UNENCRYPTED = """
WARNING! Your credentials are stored unencrypted in '{path}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""


@command("[OPTIONS] [SERVER]")
@click.argument("server", required=False)
@click.option("-u", "--username", metavar="string", help="User name")
@click.option("-p", "--password", metavar="string", help="Password or access token; others here may see it")
@click.option("--password-stdin", is_flag=True, help="Read the password or access token from standard input")
@click.option("--insecure", is_flag=True, help="Allow plain HTTP and any certificate")
@click.pass_obj
def login(
    session: Session,
    server: str | None,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    insecure: bool,
) -> None:
    """Log in to a registry

    Without SERVER it is the default registry: Docker Hub, unless the setting
    default-registry names another one. The login is checked, then kept as docker
    keeps it, by a credential helper where one is configured: docker and dockyard
    share their logins.
    """
    from dockyard.content.credentials import DockerConfig

    host = _host(session, server)
    kept = DockerConfig.default(session.environ)
    if password and password_stdin:
        raise Invalid("conflicting options: cannot specify both --password and --password-stdin")
    if password:
        click.echo(_INSECURE, err=True)
    if password_stdin:
        if not username:
            raise Invalid("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().rstrip("\r\n")
    known = None if username or password else kept.get(host)
    if known and _try_again(session, host, known, kept, insecure):
        return
    _prove(session, host, _ask(username, password), kept, insecure)


@command("[SERVER]")
@click.argument("server", required=False)
@click.pass_obj
def logout(session: Session, server: str | None) -> None:
    """Log out from a registry

    Without SERVER it is the default registry.
    """
    from dockyard.content.credentials import HUB_KEY, DockerConfig

    host = _host(session, server)
    click.echo(f"Removing login credentials for {HUB_KEY if host == DOCKER_HUB else host}")
    DockerConfig.default(session.environ).erase(host)


def _host(session: Session, server: str | None) -> str:
    return host_in(server) if server else session.settings.default_registry


def _try_again(session: Session, host: str, known: Login, kept: DockerConfig, insecure: bool) -> bool:
    """Whether the login that is kept still holds."""
    click.echo(f"Authenticating with existing credentials... [Username: {known.username}]\n", err=True)
    click.echo(
        " Info -> To login with a different account, run 'dockyard logout' followed by 'dockyard login'\n", err=True
    )
    try:
        _prove(session, host, known, kept, insecure)
    except Unauthenticated as error:
        click.echo(f"Login did not succeed, error: {error.message}", err=True)
        return False
    return True


def _ask(username: str | None, password: str | None) -> Login:
    from getpass import getpass

    from dockyard.content.credentials import Login

    if not (username and password) and not sys.stdin.isatty():
        raise Invalid("Cannot perform an interactive login from a non TTY device")
    try:
        if not username:
            click.echo("Username: ", nl=False)
            username = sys.stdin.readline().strip()
        if username and not password:
            password = getpass("Password: ")
    except EOFError:
        raise KeyboardInterrupt from None
    if not username:
        raise Invalid("username is required")
    if not password:
        raise Invalid("password is required")
    return Login(username, password)


def _prove(session: Session, host: str, given: Login, kept: DockerConfig, insecure: bool) -> None:
    import asyncio

    from dockyard.content.credentials import FixedLogin

    async def ask() -> Login | None:
        async with session.registry(host, credentials=FixedLogin(given), insecure=insecure) as client:
            return await client.login()

    traded = asyncio.run(ask())
    if kept.get(host) != (traded or given) and kept.store(host, traded or given) is None:
        click.echo(_UNENCRYPTED.format(path=kept.path), err=True)
    click.echo("Login Succeeded")
