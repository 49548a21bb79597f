"""Errors as people see them: one line that names the thing, a hint where there is one, and docker's exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, TextIO

from dockyard.cli.grammar import ERROR, Misused, usage_line
from dockyard.errors import BuildFailed, DockerfileInvalid, DockyardError, Unauthenticated

if TYPE_CHECKING:
    import click

INTERRUPTED, BROKEN_PIPE = 130, 141
_UNSEEN = (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROL = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSEEN}

_ESCAPES = {code: f"\\u{code:04x}" for code in _UNSEEN if code >= 0x7F}


def plain(text: str) -> str:
    """Text of others made safe for a terminal: characters that move, colour or turn text are shown, not obeyed."""
    return text.translate(_CONTROL)


def plain_json(text: str) -> str:
    """JSON made safe for a terminal and still the same JSON; it has no raw control characters below 0x20 in texts."""
    return text.translate(_ESCAPES)


def report(error: BaseException) -> int:
    """Say on stderr what went wrong; return the exit code."""
    if isinstance(error, BrokenPipeError):
        return silence()
    if isinstance(error, KeyboardInterrupt):
        say("")
        return INTERRUPTED
    if isinstance(error, BuildFailed | DockerfileInvalid):
        from dockyard.cli.excerpt import build_error

        say(build_error(error), error.hint)
    elif isinstance(error, DockyardError):
        is_stranger = isinstance(error, Unauthenticated)
        say(f"Error: {error.message}", error.hint or ("Log in first: dockyard login SERVER" if is_stranger else None))
    elif isinstance(error, OSError) and error.strerror:
        say(f"Error: {error.strerror.lower()}{f': {error.filename}' if error.filename else ''}", _space_hint(error))
    elif isinstance(error, BaseExceptionGroup):
        return report(_first(error))
    else:
        where = "Run the command again with 'dockyard --debug ...' to see where, and report it."
        say(f"Error: dockyard failed: {type(error).__name__}: {error}", where)
    return ERROR


def report_misuse(error: click.UsageError) -> int:
    """Say on stderr what is wrong with the command line, as docker does; return the exit code."""
    lines = [error.message]
    if isinstance(error, Misused) and error.hint:
        lines += ["", error.hint]
    if error.ctx:
        if not error.message.partition(": ")[2].startswith("unknown command"):
            lines += ["", usage_line(error.ctx.command, error.ctx)]
        lines += ["", f"Run '{error.ctx.command_path} --help' for more information"]
    say("\n".join(lines))
    return error.code if isinstance(error, Misused) else ERROR


def say(text: str, hint: str | None = None) -> None:
    """Write to stderr, after what stdout still holds; a stream that is gone or full is no reason to fail."""
    _flush(sys.stdout)
    lines = [*text.split("\n"), *(hint.split("\n") if hint else [])]
    with contextlib.suppress(OSError):
        print(*map(plain, lines), sep="\n", file=sys.stderr)
    _flush(sys.stderr)


def silence() -> int:
    """Nobody reads our output any more: let what is left of it go nowhere."""
    _flush(sys.stdout)
    _flush(sys.stderr)
    return BROKEN_PIPE


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        # What can't be written now would be tried again, and complained of, when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of a group that says most: our own before others."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((error for error in leaves if isinstance(error, DockyardError)), leaves[0])


def _space_hint(error: OSError) -> str | None:
    if error.errno == errno.ENOSPC:
        return "Free some space, for example with 'dockyard image prune', and run the same command again."
    return "See --root and DOCKYARD_ROOT for another place." if error.errno in (errno.EACCES, errno.EROFS) else None
