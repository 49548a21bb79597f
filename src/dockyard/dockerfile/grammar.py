"""The instructions that exist, how each is written, and which flags it takes: what the reader and the docs share.

Source: docker's Dockerfile reference.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Takes(enum.Enum):
    """What stands behind a flag's name."""

    VALUE = "value"  # --name=value, once
    VALUES = "values"  # --name=value, any number of times
    SWITCH = "switch"  # --name, --name=true or --name=false


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of an instruction. ``value`` is how its value is written; ``choices`` are all there are, where so few."""

    name: str
    value: str
    meaning: str
    takes: Takes = Takes.VALUE
    choices: tuple[str, ...] = ()

    @property
    def syntax(self) -> str:
        """As it is written: ``--chown=USER[:GROUP]``."""
        return f"--{self.name}" if self.takes is Takes.SWITCH else f"--{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Form:
    """An instruction: its keyword, the ways to write it, what it does, its flags, whether here-documents may follow."""

    keyword: str
    syntax: tuple[str, ...]
    meaning: str
    flags: tuple[Flag, ...] = ()
    heredocs: bool = False
    trigger: bool = True  # may stand behind ONBUILD

    def flag(self, name: str) -> Flag | None:
        """The flag called ``name``, without its dashes."""
        return next((flag for flag in self.flags if flag.name == name), None)


_COPYING = (
    Flag("chown", "USER[:GROUP]", "Owner of what is copied"),
    Flag("chmod", "MODE", "Permissions of what is copied, such as 644 or u=rwX,go=rX"),
    Flag("link", "", "Copy into a layer of its own, which does not depend on what came before", Takes.SWITCH),
    Flag("exclude", "PATTERN", "Leave out the files that match", Takes.VALUES),
)

FORMS = (
    Form(
        "FROM", ("FROM [--platform=PLATFORM] IMAGE [AS NAME]",), "Begin a stage from an image",
        (Flag("platform", "OS/ARCH[/VARIANT]", "Platform of the image, for an image of several"),), trigger=False,
    ),
    Form(
        "RUN", ("RUN [FLAGS] COMMAND", 'RUN [FLAGS] ["PROGRAM", "ARGUMENT", ...]', "RUN [FLAGS] <<EOF"),
        "Run a command and keep what it changed",
        (
            Flag("mount", "type=TYPE,KEY=VALUE", "Files that are there while the command runs", Takes.VALUES),
            Flag("network", "MODE", "Network of the command", choices=("default", "none", "host")),
            Flag("security", "MODE", "Confinement of the command", choices=("sandbox", "insecure")),
        ),
        heredocs=True,
    ),
    Form("CMD", ('CMD ["PROGRAM", "ARGUMENT", ...]', "CMD COMMAND"), "Set the default command"),
    Form("LABEL", ("LABEL KEY=VALUE ...",), "Add labels to the image"),
    Form("MAINTAINER", ("MAINTAINER NAME",), "Set the author of the image (use LABEL instead)", trigger=False),
    Form("EXPOSE", ("EXPOSE PORT[/PROTOCOL] ...",), "Say on which ports the container listens"),
    Form("ENV", ("ENV KEY=VALUE ...",), "Set environment variables"),
    Form(
        "ADD", ("ADD [FLAGS] SOURCE ... DESTINATION", 'ADD [FLAGS] ["SOURCE", ..., "DESTINATION"]'),
        "Copy files, fetch URLs and git repositories, and unpack local archives",
        (
            *_COPYING,
            Flag("checksum", "DIGEST", "What the fetched content must hash to"),
            Flag("keep-git-dir", "", "Keep the .git folder of a git repository", Takes.SWITCH),
            Flag("unpack", "", "Unpack archives, or don't, wherever they come from", Takes.SWITCH),
        ),
        heredocs=True,
    ),
    Form(
        "COPY", ("COPY [FLAGS] SOURCE ... DESTINATION", 'COPY [FLAGS] ["SOURCE", ..., "DESTINATION"]'), "Copy files",
        (
            Flag("from", "NAME", "Stage, image or named context to copy from, in place of the build's context"),
            *_COPYING,
            Flag("parents", "", "Keep the folders that sources are in", Takes.SWITCH),
        ),
        heredocs=True,
    ),
    Form("ENTRYPOINT", ('ENTRYPOINT ["PROGRAM", "ARGUMENT", ...]', "ENTRYPOINT COMMAND"), "Set the default program"),
    Form("VOLUME", ('VOLUME ["PATH", ...]', "VOLUME PATH ..."), "Say which folders hold data of their own"),
    Form("USER", ("USER NAME[:GROUP]",), "Set the user of what follows, and of the container"),
    Form("WORKDIR", ("WORKDIR PATH",), "Set the working folder, and make it"),
    Form("ARG", ("ARG NAME[=DEFAULT] ...",), "Declare build arguments"),
    Form("ONBUILD", ("ONBUILD INSTRUCTION",), "Keep an instruction for builds from this image", trigger=False),
    Form("STOPSIGNAL", ("STOPSIGNAL SIGNAL",), "Set the signal that ends a container"),
    Form(
        "HEALTHCHECK", ("HEALTHCHECK [FLAGS] CMD COMMAND", "HEALTHCHECK NONE"), "Set how health is checked",
        (
            Flag("interval", "DURATION", "Time between two checks (30s)"),
            Flag("timeout", "DURATION", "Time after which a check has failed (30s)"),
            Flag("start-period", "DURATION", "Time to start, in which failures don't count (0s)"),
            Flag("start-interval", "DURATION", "Time between two checks in the start period (5s)"),
            Flag("retries", "N", "Failures in a row that make a container unhealthy (3)"),
        ),
    ),
    Form("SHELL", ('SHELL ["PROGRAM", "ARGUMENT", ...]',), "Set the shell that runs commands in shell form"),
)  # fmt: skip

BY_KEYWORD = {form.keyword: form for form in FORMS}


def reference() -> tuple[Form, ...]:
    """Every instruction with its forms and flags, in the order of docker's reference: what docs are made from."""
    return FORMS
