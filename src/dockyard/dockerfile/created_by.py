"""What an image's history says of each instruction, in BuildKit's words.

Source: what ``docker history`` shows of images that BuildKit built. Instructions that change no config and no file
of the image (ONBUILD changes the config, but BuildKit says nothing of it) have no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from dockyard.dockerfile.steps import CopyAction

_SUFFIX = " # buildkit"
_SECOND = 10**9
_SMALLER = (("ms", 10**6), ("µs", 10**3), ("ns", 1))
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def pairs(instruction: str, values: Iterable[tuple[str, str | None]]) -> str:
    """ENV, LABEL and ARG: ``ENV A=b C=d``."""
    return " ".join([instruction, *(name if value is None else f"{name}={value}" for name, value in values)])


def quoted(instruction: str, words: Iterable[str]) -> str:
    """CMD and ENTRYPOINT: ``CMD ["nginx" "-g"]``."""
    return f"{instruction} [{' '.join(quote(word) for word in words)}]"


def listed(instruction: str, words: Iterable[str]) -> str:
    """EXPOSE, VOLUME and SHELL: ``EXPOSE [80/tcp 443/tcp]``."""
    return f"{instruction} [{' '.join(words)}]"


def run(words: Sequence[str], arguments: Mapping[str, str]) -> str:
    """RUN, with the build arguments that it saw and their number: ``RUN |1 A=b /bin/sh -c make # buildkit``."""
    seen = [f"|{len(arguments)}", *(f"{name}={value}" for name, value in arguments.items())] if arguments else []
    return " ".join(["RUN", *seen, *words]) + _SUFFIX


def copy(action: CopyAction, sources: Iterable[str], destination: str) -> str:
    """COPY and ADD, with those flags that BuildKit mentions."""
    flags = [
        *(["--parents"] if action.parents else []),
        *([f"--chown={action.chown}"] if action.chown else []),
        *([f"--chmod={action.chmod}"] if action.chmod else []),
    ]
    inline = (f"<<{name}" for name, _ in action.inline)
    return " ".join(["ADD" if action.add else "COPY", *flags, *sources, *inline, destination]) + _SUFFIX


def healthcheck(fields: Mapping[str, Any]) -> str:
    """HEALTHCHECK: ``HEALTHCHECK {Test:[CMD true] Interval:30s …}``."""
    durations = " ".join(
        f"{name}:{duration_text(fields.get(name, 0))}"
        for name in ("Interval", "Timeout", "StartPeriod", "StartInterval")
    )
    return f"HEALTHCHECK {{Test:[{' '.join(fields['Test'])}] {durations} Retries:{fields.get('Retries', 0)}}}"


def quote(text: str) -> str:
    """A text in double quotes, as Go writes it."""
    return f'"{"".join(_letter(char) for char in text)}"'


def _letter(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char == " " or (char.isprintable() and not char.isspace()):
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def duration_text(nanoseconds: int) -> str:
    """A duration as Go writes it: ``1m30s``, ``1.5s``, ``250ms``, ``0s``."""
    if nanoseconds < _SECOND:
        found = [(unit, size) for unit, size in _SMALLER if nanoseconds >= size]
        return _number(nanoseconds, found[0][1]) + found[0][0] if found else "0s"
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    seconds = f"{_number(rest, _SECOND)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _number(nanoseconds: int, unit: int) -> str:
    whole, part = divmod(nanoseconds, unit)
    return f"{whole}.{part:0{len(str(unit)) - 1}}".rstrip("0") if part else str(whole)
