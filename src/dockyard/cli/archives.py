"""``dockyard image save``, ``load`` and ``import``: images as files."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from dockyard.cli.arguments import complete_image, platform_option
from dockyard.cli.grammar import command
from dockyard.cli.progress import Meter
from dockyard.cli.session import Session
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dockyard.content.packing import Form
    from dockyard.oci.platform import Platform


@command("[OPTIONS] IMAGE [IMAGE...]")
@click.argument("images", nargs=-1, required=True, shell_complete=complete_image)
@click.option("-o", "--output", metavar="string", help="Write to a file instead of standard output")
@click.option("--format", "form", type=click.Choice(["docker", "oci"]), default="docker", metavar="string",
              help="Kind of archive: docker, which every docker loads, or oci, an OCI image layout")  # fmt: skip
@platform_option("Save only the image of this platform")
@click.pass_obj
def save(session: Session, images: Sequence[str], output: str | None, form: Form, platform: Platform | None) -> None:
    """Save one or more images to a tar archive (standard output by default)

    A name without a tag saves all its tags.
    """
    if output is None:
        if sys.stdout.isatty():
            raise Invalid("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        session.engine.save(images, sys.stdout.buffer, form=form, platform=platform)
        sys.stdout.buffer.flush()
        return
    with _written(Path(output)) as out:
        session.engine.save(images, out, form=form, platform=platform)


@command()
@click.option("-i", "--input", "source", metavar="string", help="Read from a file instead of standard input")
@platform_option("Load only the image of this platform")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress")
@click.pass_obj
def load(session: Session, source: str | None, platform: Platform | None, quiet: bool) -> None:
    """Load images from a tar archive or standard input

    Archives of docker save, old and new, and OCI layouts in a tar are taken,
    compressed with gzip or zstd or not at all.
    """
    if source is None and sys.stdin.isatty():
        raise Invalid("requested load from stdin, but stdin is empty")
    with _opened(source or "-") as archive, contextlib.ExitStack() as stack:
        if not quiet and sys.stderr.isatty():
            archive = cast("BinaryIO", stack.enter_context(Meter(archive, sys.stderr)))
        loaded = session.engine.load(archive, platform=platform)
    for image in loaded:
        click.echo(f"Loaded image: {session.familiar(image.name)}" if image.name else f"Loaded image ID: {image.id}")


@command("[OPTIONS] file|URL|- [REPOSITORY[:TAG]]")
@click.argument("source")
@click.argument("name", required=False)
@click.option("-c", "--change", "changes", multiple=True, metavar="list", help="Apply a Dockerfile instruction to it")
@click.option("-m", "--message", default="", metavar="string", help="Comment in the image's history")
@platform_option("Platform of the image, where it is not the context's")
@click.pass_obj
def import_(
    session: Session, source: str, name: str | None, changes: Sequence[str], message: str, platform: Platform | None
) -> None:
    """Make an image from a tar archive of a file system

    The archive is a file, a URL, or standard input (-). Instructions for --change
    are CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and
    WORKDIR.
    """
    with _opened(source) as archive:
        found = session.engine.import_(
            archive, name, changes=changes, message=message or f"Imported from {source}", platform=platform
        )
    click.echo(str(found))


@contextlib.contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """A file, a URL or standard input, for reading."""
    if source == "-":
        yield sys.stdin.buffer
    elif source.startswith(("http://", "https://")):
        from urllib.error import URLError
        from urllib.request import urlopen

        try:
            answer = urlopen(source, timeout=60)  # noqa: S310 - only http and https come here
        except (URLError, ValueError) as error:
            raise Invalid(f"can't fetch {source}: {getattr(error, 'reason', error)}") from None
        with answer:
            yield answer
    else:
        with open(source, "rb") as file:
            yield file


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file for writing that is there once it is whole; pipes and devices are written as they are."""
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    path = path.resolve()
    if not path.parent.is_dir():
        raise Invalid(f"failed to save image: invalid output path: there is no folder {path.parent}")
    handle, beside = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o600)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
