"""Flags and arguments that several commands have: filters, platforms, and image names that a shell completes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.oci.platform import Platform


class _Filter(click.ParamType[tuple[str, str]]):
    """``name=value``; what names and values there are, the engine knows."""

    name = "filter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Take the text apart."""
        if isinstance(value, tuple):
            return value
        key, equals, rest = str(value).partition("=")
        if not equals:
            self.fail("bad format of filter (expected name=value)", param, ctx)
        return key.strip().lower(), rest.strip()


class _Platform(click.ParamType[Any]):
    """``os/architecture[/variant]``."""

    name = "platform"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Platform:
        """Read a platform."""
        from dockyard.oci.platform import Platform

        if isinstance(value, Platform):
            return value
        try:
            return Platform.parse(str(value))
        except Invalid as error:
            self.fail(error.message, param, ctx)


def filter_option(known: str, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--filter`` and its other ``names``, many times; ``known`` tells what can be filtered by."""
    return click.option(
        *names, "--filter", "filters", type=_Filter(), multiple=True, metavar="filter", help=f"Filter by {known}"
    )


def platform_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--platform os/architecture[/variant]``."""
    return click.option("--platform", type=_Platform(), metavar="string", help=help_text)


def complete_image(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of local images that begin so; nothing where the store can't be read."""
    from dockyard.cli.session import Session
    from dockyard.errors import DockyardError

    given = ctx.find_root().params
    session = Session(os.environ, {"context": given.get("context"), "root": given.get("root")})
    try:
        rows = session.engine.rows()
    except (DockyardError, OSError):
        return []
    names = {f"{row.repository}:{row.tag}" for row in rows if not row.tag.startswith("<")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_context(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of contexts that begin so."""
    from pathlib import Path

    from dockyard.cli.session import Session
    from dockyard.engine.contexts import Contexts
    from dockyard.errors import DockyardError

    session = Session(os.environ, {"root": ctx.find_root().params.get("root")})
    try:
        found = Contexts(Path(session.settings.root)).list()
    except (DockyardError, OSError):
        return []
    return [context.name for context in found if context.name.startswith(incomplete)]
