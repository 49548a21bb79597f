"""``dockyard image inspect`` and ``history``: what an image is and how it was made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.arguments import complete_image
from dockyard.cli.failures import say
from dockyard.cli.grammar import command
from dockyard.cli.output import DOCUMENT_FORMAT, LIST_FORMAT, Columns, documents, lines
from dockyard.cli.session import Session
from dockyard.cli.units import age, human_size, local_time
from dockyard.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.engine.reports import HistoryRow

_BY_LENGTH = 45

_CONFIG = {
    "User": "", "ExposedPorts": {}, "Env": [], "Entrypoint": [], "Cmd": [], "Volumes": {}, "WorkingDir": "",
    "Labels": {}, "StopSignal": "", "ArgsEscaped": False, "Healthcheck": None, "OnBuild": [], "Shell": [],
}  # fmt: skip
"""Fields that every image's config has in docker's templates, though its JSON has those with a value only."""

_HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


@command("[OPTIONS] IMAGE [IMAGE...]")
@click.argument("images", nargs=-1, required=True, shell_complete=complete_image)
@click.option("-f", "--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
@click.pass_obj
def inspect(session: Session, images: Sequence[str], form: str) -> int:
    """Display detailed information on one or more images"""
    found: list[dict[str, Any]] = []
    problems: list[NotFound] = []
    for image in images:
        try:
            found.append(session.engine.inspect(image))
        except NotFound as error:
            problems.append(error)
    is_template = form not in ("", "json")
    click.echo(documents([_whole(document) for document in found] if is_template else found, form), nl=False)
    for problem in problems:
        say(f"Error: {problem.message}", problem.hint)
    return 1 if problems else 0


@command("[OPTIONS] IMAGE")
@click.argument("image", shell_complete=complete_image)
@click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)
@click.option("-H", "--human", is_flag=True, default=True, help="Print sizes and dates in a form for people")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@click.pass_obj
def history(session: Session, image: str, form: str, human: bool, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image"""
    steps = session.engine.history(image)
    if quiet:
        click.echo("".join(f"{_id(step, no_trunc)}\n" for step in steps), nl=False)
        return
    now = time.time()
    shown = ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    rows = [_row(step, now, human, no_trunc) for step in steps]
    click.echo(lines(rows, Columns(_HEADERS, shown), form), nl=False)


def _whole(document: dict[str, Any]) -> dict[str, Any]:
    """The document with each field that a template may ask for, as ``{{.Config.Labels}}`` of an image without any."""
    config = {key: value for key, value in (document["Config"] or {}).items() if value is not None}
    return {"Variant": "", "OsVersion": "", **document, "Config": {**_CONFIG, **config}}


def _row(step: HistoryRow, now: float, human: bool, no_trunc: bool) -> dict[str, Any]:
    by = step.created_by.replace("\t", " ")
    moment = local_time(step.created, "%Y-%m-%dT%H:%M:%S%z")
    return {
        "ID": _id(step, no_trunc),
        "CreatedSince": age(step.created, now),
        "CreatedAt": f"{moment[:-2]}:{moment[-2:]}".replace("+00:00", "Z") if moment else "N/A",
        "CreatedBy": by if no_trunc or len(by) <= _BY_LENGTH else by[: _BY_LENGTH - 1] + "…",
        "Size": human_size(step.size, 3) if human else str(step.size),
        "Comment": step.comment,
    }


def _id(step: HistoryRow, no_trunc: bool) -> str:
    return step.id if no_trunc or step.id.startswith("<") else step.id.rpartition(":")[2][:12]
