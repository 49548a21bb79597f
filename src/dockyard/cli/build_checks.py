"""``dockyard build --check``: what works in a Dockerfile and should be otherwise, as docker shows it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from dockyard.cli.excerpt import excerpt
from dockyard.cli.failures import plain
from dockyard.dockerfile.check_options import check_options
from dockyard.dockerfile.checks import check, refuse
from dockyard.dockerfile.parser import parse
from dockyard.engine.build_context import open_context
from dockyard.engine.build_events import BuildRequest
from dockyard.engine.vertices import Vertices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.cli.session import Session
    from dockyard.dockerfile.check_rules import Finding
    from dockyard.dockerfile.instructions import Dockerfile

OPTIONS = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that says what is checked instead of the file's own directive."""


def check_file(session: Session, request: BuildRequest) -> int:
    """Check the Dockerfile of a build; return the exit code: 1 where the file says that a finding is an error."""
    images = session.engine.images
    images.make()
    silent = Vertices(lambda event: None, time.time)
    with open_context(request, silent, sys.stdin.buffer, images.files.ingest) as context:
        dockerfile = parse(context.dockerfile, name=context.dockerfile_name)
    options = check_options(dockerfile, request.build_args.get(OPTIONS))
    findings = check(dockerfile, options=options)
    click.echo(report(dockerfile, findings))
    if options.error:
        refuse(dockerfile, findings)
    return 0


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
