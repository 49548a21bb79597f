"""The arguments of each instruction, read into its value.

What is expanded later keeps its quotes and escapes as written: names and values of ENV, LABEL and ARG, words of COPY,
ADD, EXPOSE and VOLUME, image, path, user, signal. Flags have lost theirs, as in docker.

Source: docker's Dockerfile reference; the messages are docker's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dockyard.dockerfile import instructions as to
from dockyard.dockerfile.durations import nanoseconds
from dockyard.dockerfile.heredocs import opener
from dockyard.dockerfile.words import quoted, spaced

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.dockerfile.request import Request
    from dockyard.errors import DockerfileInvalid

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.ASCII)
_BETWEEN = re.compile(r"[\t\v\f\r ]+")
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)
_MILLISECOND = 10**6
_DURATIONS = "write it as 30s, 1m30s or 500ms"
_RETRIES = "write it as --retries=3"


def read_from(request: Request) -> to.From:
    """``FROM``: the name of the stage in lower case, which is how it is looked up."""
    words = spaced(request.args)
    if len(words) == 1:
        return to.From(request.location, request.text, words[0], request.value("platform"))
    if len(words) != 3 or words[1].lower() != "as":
        raise request.error("FROM requires either one or three arguments", word=words[1] if words else "")
    alias = words[2].lower()
    if not _STAGE_NAME.fullmatch(alias):
        problem = f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
        raise request.error(problem, word=words[2], hint="a name is letters, digits, '-', '_' and '.', a letter first")
    return to.From(request.location, request.text, words[0], request.value("platform"), alias)


def read_run(request: Request) -> to.Run:
    """``RUN``."""
    return to.Run(
        request.location, request.text, _command(request), request.flags.get("mount", ()), request.value("network"),
        request.value("security"), request.statement.heredocs,
    )  # fmt: skip


def read_cmd(request: Request) -> to.Cmd:
    """``CMD``; the exec form may be empty."""
    return to.Cmd(request.location, request.text, _command(request, may_be_empty=True))


def read_entrypoint(request: Request) -> to.Entrypoint:
    """``ENTRYPOINT``; the exec form may be empty."""
    return to.Entrypoint(request.location, request.text, _command(request, may_be_empty=True))


def read_shell(request: Request) -> to.Shell:
    """``SHELL``, exec form only."""
    words = request.json()
    if words is None and request.args:
        raise request.error("SHELL requires the arguments to be in JSON form", word=request.args)
    if not words:
        raise _at_least_one(request)
    return to.Shell(request.location, request.text, words)


def read_env(request: Request) -> to.Env:
    """``ENV``, in both forms."""
    return to.Env(request.location, request.text, _pairs(request))


def read_label(request: Request) -> to.Label:
    """``LABEL``, in both forms."""
    return to.Label(request.location, request.text, _pairs(request))


def read_arg(request: Request) -> to.Arg:
    """``ARG``, of several names too."""
    pairs: list[tuple[str, str | None]] = []
    for word in quoted(request.args, request.statement.source.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise request.error("ARG names can not be blank", word=word)
        pairs.append((name, value if equals else None))
    if not pairs:
        raise _at_least_one(request)
    return to.Arg(request.location, request.text, tuple(pairs))


def read_copy(request: Request) -> to.Copy:
    """``COPY``."""
    return replace(_copying(request), from_=request.value("from"), parents=request.switch("parents"))


def read_add(request: Request) -> to.Copy:
    """``ADD``."""
    return replace(
        _copying(request), add=True, checksum=request.value("checksum"), keep_git_dir=request.switch("keep-git-dir"),
        unpack=request.switch("unpack") if "unpack" in request.flags else None,
    )  # fmt: skip


def read_workdir(request: Request) -> to.Workdir:
    """``WORKDIR``: all that stands there is the path."""
    return to.Workdir(request.location, request.text, _one(request))


def read_user(request: Request) -> to.User:
    """``USER``."""
    return to.User(request.location, request.text, _one(request))


def read_stopsignal(request: Request) -> to.Stopsignal:
    """``STOPSIGNAL``."""
    return to.Stopsignal(request.location, request.text, _one(request))


def read_maintainer(request: Request) -> to.Maintainer:
    """``MAINTAINER``."""
    return to.Maintainer(request.location, request.text, _one(request))


def read_expose(request: Request) -> to.Expose:
    """``EXPOSE``."""
    ports = tuple(spaced(request.args))
    if not ports:
        raise _at_least_one(request)
    return to.Expose(request.location, request.text, ports)


def read_volume(request: Request) -> to.Volume:
    """``VOLUME``, as JSON or words."""
    paths = tuple(path.strip() for path in _listed(request))
    if not paths:
        raise _at_least_one(request)
    if not all(paths):
        raise request.error("VOLUME specified can not be an empty string")
    return to.Volume(request.location, request.text, paths)


def read_healthcheck(request: Request) -> to.Healthcheck:
    """``HEALTHCHECK``; durations are checked, and stay as written."""
    kind, *rest = _BETWEEN.split(request.args, maxsplit=1)
    if not kind:
        raise _at_least_one(request)
    if kind.upper() == "NONE":
        if rest:
            raise request.error(
                "HEALTHCHECK NONE takes no arguments", word=rest[0], hint="write it as: HEALTHCHECK NONE"
            )
        return to.Healthcheck(request.location, request.text, None)
    if kind.upper() != "CMD":
        problem = f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)'
        raise request.error(problem, word=kind)
    for name in ("interval", "timeout", "start-period", "start-interval"):
        _check_duration(request, name)
    _check_retries(request)
    head = replace(request.statement.head, args="".join(rest))
    inner = replace(request, statement=replace(request.statement, head=head))
    if not inner.args or inner.json() == ():
        raise request.error("Missing command after HEALTHCHECK CMD")
    command = _command(inner)
    return to.Healthcheck(
        request.location, request.text, command, request.value("interval"), request.value("timeout"),
        request.value("start-period"), request.value("start-interval"), request.value("retries"),
    )  # fmt: skip


READERS: dict[str, Callable[[Request], to.Instruction]] = {
    "FROM": read_from, "RUN": read_run, "CMD": read_cmd, "LABEL": read_label, "MAINTAINER": read_maintainer,
    "EXPOSE": read_expose, "ENV": read_env, "ADD": read_add, "COPY": read_copy, "ENTRYPOINT": read_entrypoint,
    "VOLUME": read_volume, "USER": read_user, "WORKDIR": read_workdir, "ARG": read_arg,
    "STOPSIGNAL": read_stopsignal, "HEALTHCHECK": read_healthcheck, "SHELL": read_shell,
}  # fmt: skip


def _one(request: Request) -> str:
    if not request.args:
        raise request.error(f"{request.keyword} requires exactly one argument")
    return request.args


def _at_least_one(request: Request) -> DockerfileInvalid:
    return request.error(f"{request.keyword} requires at least one argument")


def _command(request: Request, *, may_be_empty: bool = False) -> to.Command:
    """The exec form, or all that stands there for the shell."""
    words = request.json()
    if words or (words is not None and may_be_empty):
        return to.Command(words, shell=False)
    if words is not None or not request.args:
        raise _at_least_one(request)
    return to.Command((request.args,), shell=True)  # noqa: S604 - a value, not a call


def _listed(request: Request) -> tuple[str, ...]:
    words = request.json()
    return tuple(spaced(request.args)) if words is None else words


def _pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """The names and values of ``KEY=value ...``, or of the old ``KEY value``."""
    words = quoted(request.args, request.statement.source.escape)
    if not words:
        raise _at_least_one(request)
    if "=" not in words[0]:
        name, *rest = _BETWEEN.split(request.args, maxsplit=1)
        if not rest:
            raise request.error(f"{request.keyword} must have two arguments")
        return ((name, rest[0]),)
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            problem = f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            raise request.error(problem, word=word, hint="put a value with spaces in quotes")
        if not name:
            raise request.error(f"{request.keyword} names can not be blank", word=word)
        pairs.append((name, value))
    return tuple(pairs)


def _copying(request: Request) -> to.Copy:
    """What COPY and ADD share."""
    words = _listed(request)
    if len(words) < 2:
        raise request.error(
            f"{request.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    *sources, destination = words
    heredocs = request.statement.heredocs
    if heredocs and opener(destination):
        raise request.error(f"{request.keyword} cannot accept a heredoc as a destination", word=destination)
    plain = tuple(word for word in sources if not heredocs or not opener(word))
    if len(plain) + len(heredocs) != len(sources):
        problem = f"{request.keyword} has another number of here-documents than of words that ask for them"
        raise request.error(problem, hint="give each a name without spaces, and no other source a << in it")
    return to.Copy(
        request.location, request.text, plain, destination, heredocs, chown=request.value("chown"),
        chmod=request.value("chmod"), link=request.switch("link"), excludes=request.flags.get("exclude", ()),
    )  # fmt: skip


def _check_duration(request: Request, name: str) -> None:
    if not request.value(name):
        return
    try:
        length = nanoseconds(request.value(name))
    except ValueError as error:
        raise request.bad_flag(name, str(error), _DURATIONS) from None
    if length and length < _MILLISECOND:
        raise request.bad_flag(name, f'Interval "{name}" cannot be less than 1ms', _DURATIONS)


def _check_retries(request: Request) -> None:
    text = request.value("retries")
    if not text:
        return
    if not _NUMBER.fullmatch(text) or int(text) >= 1 << 31:
        raise request.bad_flag("retries", f'--retries is no whole number: "{text}"', _RETRIES)
    if int(text) < 0:
        raise request.bad_flag("retries", f"--retries cannot be negative ({int(text)})", _RETRIES)
