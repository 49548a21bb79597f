"""The instructions of a Dockerfile as values: what was written, before variables are expanded.

Source: docker's Dockerfile reference, the section of each instruction.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """Where an instruction stands: its first and last line and first column, counted from 1."""

    line: int
    end_line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: ``content`` with tabs already stripped where ``<<-`` asked for it.

    ``expand`` is false where the name was quoted: then variables stay as they are.
    """

    name: str
    content: str
    expand: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: a list of words (exec form), or one text for the shell (``shell`` is true, one word)."""

    words: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. ``text`` is as written, continuation lines joined, without here-documents."""

    location: Location
    text: str


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """Begin a stage from an image, an earlier stage, a named context or ``scratch``."""

    image: str
    platform: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """Declare build arguments, each with its default or ``None``."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """Set environment variables of the image."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """Add labels to the image."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """Run a command and keep what it changed. ``mounts`` are the texts behind ``--mount=``."""

    command: Command
    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """Copy files (COPY), or also fetch and unpack them (``add``: ADD). The last word is the destination.

    ``sources`` and ``heredocs`` together are what is copied; ``from_`` is a stage, an image or a named context.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    add: bool = False
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    """Set the working folder, and make it."""

    path: str


@dataclass(frozen=True, slots=True)
class User(Instruction):
    """Set who runs what follows, and the container."""

    user: str


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """Say on which ports the container listens."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """Say which folders hold data of their own."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """Set the default command, or the default arguments of the entrypoint."""

    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """Set the program that a container runs."""

    command: Command


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """Set how a container's health is checked; ``command`` is ``None`` for ``NONE``. Durations are as written."""

    command: Command | None
    interval: str = ""
    timeout: str = ""
    start_period: str = ""
    start_interval: str = ""
    retries: str = ""


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    """Set the shell that runs commands in shell form."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stopsignal(Instruction):
    """Set the signal that ends a container."""

    signal: str


@dataclass(frozen=True, slots=True)
class Onbuild(Instruction):
    """Keep an instruction for the builds that start from this image; ``trigger`` is its text."""

    trigger: str


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    """Set the author of the image; a label is the newer way."""

    name: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it."""

    start: From
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file: arguments before the first FROM, and stages. ``lines`` are its source lines, for messages."""

    name: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    directives: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
