"""``dockyard build``: a Dockerfile to an image."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockyard.cli.failures import say
from dockyard.cli.grammar import command
from dockyard.cli.session import Session
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from dockyard.engine.build_events import BuildRequest, Built

_IDS = "Install uidmap, and give yourself a range in /etc/subuid and /etc/subgid."
_TURN = 0.0001  # seconds
_KINDS = ("auto", "plain", "quiet", "rawjson", "tty")


@command("[OPTIONS] PATH | URL | -")
@click.argument("context")
@click.option("--add-host", multiple=True, metavar="host:ip", help="Add a line to /etc/hosts of every RUN")
@click.option("--build-arg", multiple=True, metavar="key[=value]", help="Set a variable that the Dockerfile declares")
@click.option("--build-context", multiple=True, metavar="name=path", help="Another context for FROM and COPY --from")
@click.option(
    "--cache-from", multiple=True, metavar="place", help="Cache to use besides ours: an image name, or type=local,src=…"
)
@click.option(
    "--cache-to", multiple=True, metavar="place", help="Where to write the cache: an image name, or type=local,dest=…"
)
@click.option("--check", is_flag=True, help="Check the Dockerfile for mistakes, and build nothing")
@click.option(
    "--compression", type=click.Choice(["gzip", "zstd"]), default="gzip", metavar="string",
    help="How layers are compressed: gzip or zstd",
)  # fmt: skip
@click.option(
    "-f", "--file", default="", metavar="file", help="Dockerfile to read; - is stdin (default PATH/Dockerfile)"
)
@click.option("--iidfile", default="", metavar="file", help="Write the image ID to this file")
@click.option("--label", multiple=True, metavar="key=value", help="Add a label to the image")
@click.option("--load", is_flag=True, help="Keep the image in the store also where --output is given")
@click.option("--metadata-file", default="", metavar="file", help="Write what was built to this file, as JSON")
@click.option(
    "--network", type=click.Choice(["default", "host", "none"]), default="default", metavar="string",
    help="Network of every RUN that does not say: default, host or none",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Do not use what earlier builds made")
@click.option(
    "-o", "--output", multiple=True, metavar="place", help="Write the result there: type=local|tar|oci|docker,dest=…"
)
@click.option("--platform", multiple=True, metavar="string", help="Build for this platform; several make an index")
@click.option(
    "--progress", type=click.Choice(_KINDS), default="auto", metavar="string",
    help="How to show progress: auto, plain, quiet, rawjson or tty",
)  # fmt: skip
@click.option("--pull", is_flag=True, help="Ask the registries for newer base images")
@click.option("--push", is_flag=True, help="Push the image to the registries that its tags name")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, and print the image ID")
@click.option(
    "--secret", multiple=True, metavar="secret", help="File or variable for RUN --mount=type=secret: id=…,src=…"
)
@click.option("--shm-size", default="64m", metavar="bytes", help="Size of /dev/shm of every RUN")
@click.option("--ssh", multiple=True, metavar="id[=socket]", help="Agent for RUN --mount=type=ssh, often: default")
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="name[:tag]", help="Name of the image; may be given several times"
)
@click.option("--target", default="", metavar="stage", help="Stage to build, instead of the last one")
@click.pass_obj
def build(session: Session, /, context: str, **flags: Any) -> int:
    """Build an image from a Dockerfile

    PATH is a folder, URL a git repository, and - a tar or a Dockerfile on stdin. Only
    the stages that the target needs are built, side by side where they can be.
    """
    import asyncio

    from dockyard.cli.build_progress import build_progress

    quiet = flags["quiet"] or flags["progress"] == "quiet"
    if flags["quiet"] and flags["progress"] not in ("auto", "quiet"):
        raise Invalid(f"progress={flags['progress']} and quiet cannot be used together")
    request = _request(session, context, flags)
    if flags["check"]:
        from dockyard.cli.build_checks import check_file

        return check_file(request)
    to_stdout = any(output.dest == "-" for output in request.outputs)
    if to_stdout and sys.stdout.isatty():
        raise Invalid("refusing to write an archive to a terminal", hint="Add dest=FILE to --output.")
    if to_stdout and flags["quiet"]:
        raise Invalid("-q prints the image ID where --output writes the result", hint="Add dest=FILE to --output.")
    if flags["iidfile"]:
        # As docker: after a build that failed there is no file of an earlier one.
        Path(flags["iidfile"]).unlink(missing_ok=True)
    if not session.be_root() and not quiet:
        say("WARNING: you have no user IDs to give away here, so files of RUN can only be root's", _IDS)
    display = build_progress("quiet" if quiet else flags["progress"], sys.stderr, session.environ)

    # Threads hand pieces of layers on all the time; none should wait long for the interpreter.
    sys.setswitchinterval(_TURN)

    async def run() -> Built:
        ended: list[int] = []
        _end_with(ended)
        try:
            with display:
                return await session.engine.build(
                    request, session.registry, display, stdin=sys.stdin.buffer, stdout=sys.stdout.buffer
                )
        except asyncio.CancelledError:
            if ended:
                raise click.exceptions.Exit(128 + ended[0]) from None
            raise

    # Threads hand pieces of layers on all the time; none should wait long for the interpreter.
    sys.setswitchinterval(_TURN)

    _tell(session.move(run()), flags["iidfile"], flags["metadata_file"], quiet and not to_stdout)
    return 0


def _end_with(ended: list[int]) -> None:
    """Have SIGTERM and SIGHUP end the build as Ctrl-C does, its containers first; ``ended`` says which came."""
    import asyncio
    import signal

    task = asyncio.current_task()

    def end(number: int) -> None:
        ended.append(number)
        if task:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)


def _request(session: Session, context: str, flags: dict[str, Any]) -> BuildRequest:
    """Read every flag; what they say of the outside, as of secrets, is read here and nowhere else."""
    from dockyard.cli import build_options as read
    from dockyard.engine.build_events import BuildRequest

    if context == "-" and flags["file"] == "-":
        raise Invalid("can't use stdin for both build context and dockerfile")
    outputs = read.read_outputs(flags["output"], push=flags["push"], load=flags["load"])
    named = [name for output in outputs if output.type == "image" for name in output.names]
    tags = tuple(dict.fromkeys([*flags["tags"], *named]))
    for tag in tags:
        _check_tag(session, tag)
    if not tags and any(output.push for output in outputs):
        raise Invalid("tag is needed when pushing to registry", hint="Name the image with -t.")
    build_args = read.read_build_args(flags["build_arg"], session.environ)
    settings = session.build_settings
    secrets = [read.read_secret(text, session.environ) for text in flags["secret"]]
    return BuildRequest(
        context=context,
        dockerfile=flags["file"],
        tags=tags,
        target=flags["target"],
        build_args=build_args,
        platforms=read.read_platforms(flags["platform"]),
        labels=read.read_pairs(flags["label"], "--label"),
        contexts=read.read_contexts(flags["build_context"]),
        no_cache=flags["no_cache"],
        pull=flags["pull"],
        secrets=tuple({secret.id: secret for secret in secrets}.values()),
        ssh=dict(read.read_ssh(text, session.environ) for text in flags["ssh"]),
        add_hosts=tuple(read.read_host(text) for text in flags["add_host"]),
        network=flags["network"],
        shm_size=read.read_size(flags["shm_size"], "--shm-size"),
        cache_from=tuple(read.read_cache_from(text, session.reference) for text in flags["cache_from"]),
        cache_to=tuple(read.read_cache_to(text, session.reference) for text in flags["cache_to"]),
        outputs=outputs,
        compression=flags["compression"],
        epoch=read.read_epoch(build_args),
        default_registry=settings.default_registry,
        cache_bytes=settings.cache_size,
    )


def _check_tag(session: Session, tag: str) -> None:
    try:
        has_digest = bool(session.reference(tag).digest)
    except Invalid as error:
        raise Invalid(f'invalid tag "{tag}": {error.message}', hint=error.hint) from None
    if has_digest:
        raise Invalid(f'invalid tag "{tag}": what is built can have no digest in its name')


def _tell(built: Built, iidfile: str, metadata_file: str, prints: bool) -> None:
    """Say where a script asked for it what was built. A build into a folder has no image ID."""
    image = str(built.image_id) if built.image_id else ""
    if iidfile:
        Path(iidfile).write_text(image)
    if metadata_file:
        Path(metadata_file).write_text(json.dumps(dict(built.metadata), indent=2) + "\n")
    if prints and image:
        click.echo(image)
