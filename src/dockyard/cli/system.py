"""``dockyard version``, ``info`` and ``system df``: what there is on this machine."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.grammar import command
from dockyard.cli.output import DOCUMENT_FORMAT, fill
from dockyard.cli.session import Session
from dockyard.oci.platform import host_platform

if TYPE_CHECKING:
    from collections.abc import Mapping


def our_version() -> str:
    """The version of this installation."""
    from importlib.metadata import version as installed

    return installed("dockyard")


@command()
@click.option("-f", "--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
@click.pass_obj
def version(session: Session, form: str) -> None:
    """Show the version

    There is no daemon: client and engine are one program and have one version.
    """
    here = host_platform(platform.system(), platform.machine())
    engine = {"Version": our_version(), "Os": here.os, "Arch": here.architecture, "KernelVersion": platform.release()}
    document = {
        "Client": {
            "Version": our_version(),
            "PythonVersion": platform.python_version(),
            "Os": here.os,
            "Arch": here.architecture,
            "Context": session.settings.context,
        },
        "Server": engine,
    }
    if form:
        click.echo(fill(document, form))
        return
    client = document["Client"]
    rows = [
        ("Client:", ""),
        (" Version:", client["Version"]),
        (" Python version:", client["PythonVersion"]),
        (" OS/Arch:", f"{here.os}/{here.architecture}"),
        (" Context:", client["Context"]),
        ("", ""),
        ("Server:", ""),
        (" Engine:", ""),
        ("  Version:", engine["Version"]),
        ("  OS/Arch:", f"{here.os}/{here.architecture}"),
        ("  Kernel version:", engine["KernelVersion"]),
    ]
    click.echo("\n".join(f"{name:<19}{value}".rstrip() for name, value in rows))


def _section(document: Mapping[str, Any]) -> str:
    return "\n".join(f" {name}: {value}" for name, value in document.items())
