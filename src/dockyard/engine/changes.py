"""Dockerfile instructions that change an image's config, as ``import --change`` takes them. Pure.

Source: docker's Dockerfile reference, the section of each instruction, and "docker image import" for which are allowed.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING, Any

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_MOST_PORTS = 65535


def apply_changes(changes: Iterable[str], *, system: str = "linux") -> dict[str, Any]:
    """Return the ``config`` object of an image config that the instructions make; Invalid names the one at fault.

    ``system`` is the image's operating system, whose shell runs commands that are not lists.
    """
    config: dict[str, Any] = {}
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        instruction = word.upper()
        apply = _INSTRUCTIONS.get(instruction)
        if apply is None:
            raise Invalid(
                f"{word} is not a valid change command", hint=f"Allowed are {', '.join(sorted(_INSTRUCTIONS))}."
            )
        try:
            apply(config, rest.strip(), system)
        except ValueError as error:
            raise Invalid(f"invalid change {change!r}: {error}") from None
    return config


def _command(key: str) -> Callable[[dict[str, Any], str, str], None]:
    def apply(config: dict[str, Any], rest: str, system: str) -> None:
        words = _list(rest)
        if words is None:
            shell = ["cmd", "/S", "/C"] if system == "windows" else ["/bin/sh", "-c"]
            words = [*shell, rest] if rest else []
        if words:
            config[key] = words
        else:
            config.pop(key, None)
        if key == "Entrypoint":
            config.pop("Cmd", None)  # a command was an argument of the entrypoint before

    return apply


def _env(config: dict[str, Any], rest: str, _: str) -> None:
    for key, value in _pairs(rest):
        others = [entry for entry in config.get("Env", []) if entry.partition("=")[0] != key]
        config["Env"] = [*others, f"{key}={value}"]


def _label(config: dict[str, Any], rest: str, _: str) -> None:
    config.setdefault("Labels", {}).update(_pairs(rest))


def _expose(config: dict[str, Any], rest: str, _: str) -> None:
    for word in _words(rest):
        match = _PORT.fullmatch(word.lower())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not match or not 0 < first <= last <= _MOST_PORTS:
            raise ValueError(f"{word!r} is not a port")
        for port in range(first, last + 1):
            config.setdefault("ExposedPorts", {})[f"{port}/{match[3] or 'tcp'}"] = {}


def _volume(config: dict[str, Any], rest: str, _: str) -> None:
    for path in _list(rest) or _words(rest):
        if not path.strip():
            raise ValueError("a volume can't be an empty string")
        config.setdefault("Volumes", {})[path] = {}


def _workdir(config: dict[str, Any], rest: str, system: str) -> None:
    if not rest:
        raise ValueError("it needs a folder")
    if system == "windows":
        config["WorkingDir"] = rest
        return
    path = posixpath.normpath(posixpath.join("/", config.get("WorkingDir", "/"), rest))
    config["WorkingDir"] = "/" + path.lstrip("/")


def _text(key: str) -> Callable[[dict[str, Any], str, str], None]:
    def apply(config: dict[str, Any], rest: str, _: str) -> None:
        if len(words := _words(rest)) != 1:
            raise ValueError("it needs exactly one argument")
        config[key] = words[0]

    return apply


def _onbuild(config: dict[str, Any], rest: str, _: str) -> None:
    word = rest.partition(" ")[0].upper()
    if not word or word in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise ValueError(f"{word or 'nothing'} is not allowed as an ONBUILD trigger")
    config.setdefault("OnBuild", []).append(rest)


_INSTRUCTIONS: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _text("StopSignal"),
    "USER": _text("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}


def _list(rest: str) -> list[str] | None:
    """The JSON form of a command; ``None`` where it is the shell's."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _words(rest: str) -> list[str]:
    words = shlex.split(rest)
    if not words:
        raise ValueError("it needs at least one argument")
    return words


def _pairs(rest: str) -> list[tuple[str, str]]:
    """``key=value …`` with quotes, or the old form ``key value``."""
    words = _words(rest)
    if "=" not in words[0]:
        key, _, value = rest.partition(" ")
        if not value.strip():
            raise ValueError(f"{key} needs a value: write {key}=value")
        return [(key, value.strip())]
    pairs = []
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word!r} is not of the form key=value")
        pairs.append((key, value))
    return pairs
