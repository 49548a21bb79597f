"""``dockyard version``, ``info`` and ``system df``: what there is on this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.grammar import command
from dockyard.cli.output import DOCUMENT_FORMAT, LIST_FORMAT, Columns, fill, lines
from dockyard.cli.session import Session
from dockyard.cli.units import age, human_size
from dockyard.errors import Invalid
from dockyard.oci.platform import host_platform

if TYPE_CHECKING:
    from dockyard.engine.reports import ImageUsage, Usage

_USAGE = Columns(
    {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"},
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
)
_IMAGES = Columns(
    {
        "Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE",
        "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE",
    },
    ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize"),
)  # fmt: skip


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


@command()
@click.option("-f", "--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
@click.pass_obj
def info(session: Session, form: str) -> None:
    """Display information about this machine's stores"""
    document = _describe(session)
    if form:
        click.echo(fill(document, form))
        return
    client = document["ClientInfo"]
    rows = [
        "Client:",
        f" Version:    {client['Version']}",
        f" Context:    {client['Context']}",
        "",
        "Server:",
        f" Images: {document['Images']}",
        f" Server Version: {document['ServerVersion']}",
        f" Platform: {document['Platform']}",
        f" Kernel Version: {document['KernelVersion']}",
        f" Operating System: {document['OperatingSystem']}",
        f" OSType: {document['OSType']}",
        f" Architecture: {document['Architecture']}",
        f" CPUs: {document['NCPU']}",
        f" Total Memory: {document['MemTotal'] / 2**30:.4g}GiB",
        f" Name: {document['Name']}",
        f" Dockyard Root Dir: {document['RootDir']}",
        f" Store: {document['Store']}",
        f" Registry: {document['DefaultRegistry']}",
        " Insecure Registries:",
        *(f"  {host}" for host in document["InsecureRegistries"]),
    ]
    click.echo("\n".join(rows))


@command()
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-v", "--verbose", is_flag=True, help="Show what each image and each piece of cache takes")
@click.pass_obj
def df(session: Session, form: str, verbose: bool) -> None:
    """Show disk usage

    ACTIVE images have a tag; RECLAIMABLE is what 'dockyard image prune' and
    'dockyard builder prune' would free.
    """
    if verbose and form:
        raise Invalid("the verbose and the format options conflict")
    usage = session.engine.disk_usage()
    if verbose:
        now = time.time()
        rows = [_image_row(image, now) for image in usage.details]
        click.echo(f"Images space usage:\n\n{lines(rows, _IMAGES)}")
        from dockyard.cli.builder import USAGE, cache_row

        kept = [cache_row(row, now, short=True) for row in session.engine.build_cache()]
        click.echo(f"Build cache usage: {human_size(usage.build_cache.size)}\n\n{lines(kept, USAGE)}", nl=False)
        return
    kinds = {"Images": usage.images, "Build Cache": usage.build_cache, "Partial Downloads": usage.partial}
    click.echo(lines([_usage_row(kind, found) for kind, found in kinds.items()], _USAGE, form), nl=False)


def _describe(session: Session) -> dict[str, Any]:
    system = ""
    with contextlib.suppress(OSError):
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    context = session.engine.context
    return {
        "Images": len({row.id for row in session.engine.rows()}),
        "ServerVersion": our_version(),
        "Platform": str(context.platform),
        "KernelVersion": platform.release(),
        "OperatingSystem": system or platform.system(),
        "OSType": platform.system().lower(),
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": platform.node(),
        "RootDir": session.settings.root,
        "Store": context.folder,
        "DefaultRegistry": session.settings.default_registry,
        "InsecureRegistries": ["::1/128", "127.0.0.0/8", *session.settings.insecure_registries],
        "ClientInfo": {"Version": our_version(), "Context": context.name},
    }


def _usage_row(kind: str, usage: Usage) -> dict[str, Any]:
    share = f" ({100 * usage.reclaimable // usage.size}%)" if usage.size else ""
    return {
        "Type": kind,
        "TotalCount": str(usage.total),
        "Active": str(usage.active),
        "Size": human_size(usage.size),
        "Reclaimable": f"{human_size(usage.reclaimable)}{share}",
    }


def _image_row(image: ImageUsage, now: float) -> dict[str, Any]:
    return {
        "Repository": image.repository,
        "Tag": image.tag,
        "ID": image.id.hex[:12],
        "CreatedSince": age(image.created, now),
        "Size": human_size(image.size, 3),
        "SharedSize": human_size(image.shared, 3),
        "UniqueSize": human_size(image.unique, 3),
    }
