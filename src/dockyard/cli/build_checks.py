"""``dockyard build --check``: what works in a Dockerfile and should be otherwise, as docker shows it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dockyard.cli.excerpt import excerpt
from dockyard.cli.failures import plain, say
from dockyard.cli.grammar import ERROR
from dockyard.dockerfile.check_options import CHECK_OPTIONS, check_options
from dockyard.dockerfile.checks import check, refuse
from dockyard.dockerfile.parser import parse
from dockyard.engine.build_context import open_context
from dockyard.engine.vertices import Vertices
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.dockerfile.check_rules import Finding
    from dockyard.dockerfile.ignore import IgnoreRules
    from dockyard.dockerfile.instructions import Dockerfile
    from dockyard.engine.build_events import BuildRequest


def check_file(request: BuildRequest) -> int:
    """Check the Dockerfile of a build; return the exit code: 1 where the file says that a finding is an error."""
    dockerfile, rules = _opened(request)
    options = check_options(dockerfile, request.build_args.get(CHECK_OPTIONS))
    findings = check(dockerfile, options=options, ignored=rules.excludes)
    click.echo(report(dockerfile, findings))
    try:
        if options.error:
            refuse(dockerfile, findings)
    except DockerfileInvalid as error:
        say(f"ERROR: {error.problem}")  # its place has been shown
        return ERROR
    return 0


def _opened(request: BuildRequest) -> tuple[Dockerfile, IgnoreRules]:
    """The Dockerfile, and what ``.dockerignore`` says. The context may have to be fetched; it is gone afterwards."""
    silent = Vertices(lambda event: None, time.time)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_context(request, silent, sys.stdin.buffer, Path(folder)) as context,
    ):
        try:
            return parse(context.dockerfile, name=context.dockerfile_name), context.rules
        except DockerfileInvalid as error:
            error.lines = tuple(context.dockerfile.splitlines())
            raise


def report(dockerfile: Dockerfile, findings: Sequence[Finding]) -> str:
    """What was found, each with its rule and its lines, and how much it is."""
    if not findings:
        return "Check complete, no warnings found."
    blocks = [
        "\n".join(
            plain(line)
            for line in (
                f"WARNING: {found.rule}",
                found.message,
                *excerpt(dockerfile.name, dockerfile.lines, found.line, found.line),
            )
        )
        for found in findings
    ]
    many = f"{len(findings)} warnings have" if len(findings) > 1 else "1 warning has"
    return "\n\n".join([*blocks, f"Check complete, {many} been found!"])
