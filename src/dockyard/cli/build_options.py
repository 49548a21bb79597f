"""What the flags of a build say: texts with docker's small grammars, read once into values."""

from __future__ import annotations

import csv
import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.engine.build_events import CachePlace, Output, Secret
from dockyard.errors import Invalid, Unsupported
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

EPOCH = "SOURCE_DATE_EPOCH"
MOST_SECRET = 500 * 1024
"""Bytes that a secret may have, as docker has it."""
_LAST_EPOCH = 253_402_300_799  # the end of the year 9999, after which image configs have no text
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_UNITS = {unit: 1024**power for power, unit in enumerate(("", "k", "m", "g", "t", "p"))}
_DEFAULT_ID = "default"


def read_fields(text: str, flag: str, known: Mapping[str, str], bare: str = "") -> dict[str, str]:
    """Take ``key=value,key=value`` apart, where a value with a comma stands in quotes as in CSV.

    ``known`` leads each spelling of a key to the key; ``bare`` is the key of a word without ``=``. Invalid.
    """
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise Invalid(f"invalid argument {text!r} for {flag}: {error}") from None
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and bare:
            key, value = bare, word
        elif not equals:
            raise Invalid(f"invalid argument for {flag}: {word!r} is not a key=value pair")
        name = known.get(key.strip().lower())
        if name is None:
            shown = ", ".join(dict.fromkeys(known.values()))
            raise Invalid(f"invalid argument for {flag}: unknown key {key!r}", hint=f"Known keys: {shown}.")
        if name in found:
            raise Invalid(f"invalid argument for {flag}: {key!r} is given twice")
        found[name] = value
    return found


def read_secret(text: str, environ: Mapping[str, str]) -> Secret:
    """``id=NAME[,src=FILE|,env=VARIABLE]``: the value is read now. Invalid names the secret and never its value."""
    keys = {"id": "id", "src": "src", "source": "src", "env": "env", "type": "type"}
    found = read_fields(text, "--secret", keys)
    name, source, variable = found.get("id", ""), found.get("src", ""), found.get("env", "")
    kind = found.get("type", "")
    if not name:
        raise Invalid("invalid argument for --secret: the id is missing", hint="Write --secret id=NAME,src=FILE.")
    if kind not in ("", "file", "env"):
        raise Invalid(f"invalid argument for --secret: unsupported type {kind!r}", hint="Known types: file, env.")
    if kind == "env" and not variable:
        source, variable = "", source or name
    if source and variable:
        raise Invalid(f"invalid argument for --secret: {name} has both a src and an env")
    if not source and not variable:
        source, variable = ("", name) if kind != "file" and name in environ else (name, "")
    if variable:
        if variable not in environ:
            raise Invalid(f"secret {name}: the environment variable {variable} is not set")
        value = os.fsencode(environ[variable])
    else:
        value = _read_secret_file(name, Path(source))
    if len(value) > MOST_SECRET:
        raise Invalid(f"secret {name} is too big: {MOST_SECRET // 1024} KiB is the most")
    return Secret(name, value)


def read_ssh(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """``default``, ``ID`` or ``ID=SOCKET``: an id and the agent's socket. Invalid; Unsupported for key files."""
    name, equals, path = text.partition("=")
    name = name or _DEFAULT_ID
    if not equals:
        path = environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise Invalid(
            f"--ssh {name}: there is no agent", hint="Start one with ssh-agent, so that SSH_AUTH_SOCK is set."
        )
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise Invalid(f"--ssh {name}: {path}: {str(error.strerror).lower()}") from None
    if not stat.S_ISSOCK(mode):
        raise Unsupported(
            f"--ssh {name}: {path} is not an agent's socket", hint="Add keys to an agent with ssh-add, and give that."
        )
    return name, str(Path(path).absolute())


def read_outputs(texts: Sequence[str], *, push: bool, load: bool) -> tuple[Output, ...]:
    """What ``--output``, ``--push`` and ``--load`` ask for; nothing is the image in the store. Invalid."""
    outputs = [_output(text) for text in texts]
    if push:
        images = [place for place, output in enumerate(outputs) if output.type == "image"]
        outputs = [
            Output("image", "", True, output.names) if place in images else output
            for place, output in enumerate(outputs)
        ]
        outputs += [] if images else [Output("image", push=True)]
    elif load and not any(output.type == "image" for output in outputs):
        outputs.append(Output("image"))
    if sum(output.dest == "-" for output in outputs) > 1:
        raise Invalid("only one --output can go to standard output")
    return tuple(outputs)


def read_cache_from(text: str, check: Callable[[str], object]) -> CachePlace:
    """``NAME``, ``type=registry,ref=NAME`` or ``type=local,src=FOLDER``; ``check`` refuses what is no image name."""
    keys = {"type": "type", "ref": "ref", "src": "src", "mode": "mode"}
    return _cache_place(_cache_fields(text, "--cache-from", keys), "--cache-from", "src", check)


def read_cache_to(text: str, check: Callable[[str], object]) -> CachePlace:
    """``NAME``, ``type=registry,ref=NAME`` or ``type=local,dest=FOLDER``, and ``mode=min|max``."""
    keys = {"type": "type", "ref": "ref", "dest": "dest", "mode": "mode"}
    return _cache_place(_cache_fields(text, "--cache-to", keys), "--cache-to", "dest", check)


def read_platforms(texts: Iterable[str]) -> tuple[Platform, ...]:
    """Platforms, several in one text or in several, each once. Invalid."""
    words = [word.strip() for text in texts for word in text.split(",")]
    return tuple(dict.fromkeys(Platform.parse(word) for word in words if word))


def read_build_args(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str | None]:
    """``KEY=VALUE``, or ``KEY`` with the value that the environment has; without one it is not given at all."""
    found: dict[str, str | None] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key:
            raise Invalid(f"invalid argument for --build-arg: {text!r} has no name")
        if equals or key in environ:
            found[key] = value if equals else environ[key]
    if EPOCH not in found and environ.get(EPOCH):
        found[EPOCH] = environ[EPOCH]
    return found


def read_epoch(build_args: Mapping[str, str | None]) -> int | None:
    """The seconds since 1970 that SOURCE_DATE_EPOCH says; ``None`` where it says nothing. Invalid."""
    text = build_args.get(EPOCH) or ""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or int(text) > _LAST_EPOCH:
        raise Invalid(
            f"{EPOCH} is {text!r}", hint="It is a number of seconds since 1970, such as $(git log -1 --format=%ct)."
        )
    return int(text)


def read_pairs(texts: Iterable[str], flag: str) -> dict[str, str]:
    """``KEY=VALUE``, where a missing value is empty. Invalid without a key."""
    pairs = [text.partition("=") for text in texts]
    if any(not key for key, _, _ in pairs):
        raise Invalid(f"invalid argument for {flag}: a name is missing before '='")
    return {key: value for key, _, value in pairs}


def read_contexts(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=FOLDER``, or an address, ``docker-image://NAME`` and so on. Invalid."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise Invalid(f"invalid build context: {text!r}", hint="Write --build-context NAME=FOLDER.")
        found[name.lower()] = value
    return found


def read_host(text: str) -> str:
    """``HOST:IP`` or ``HOST=IP`` as ``HOST:IP``; the address may be ``host-gateway``. Invalid."""
    separator = "=" if "=" in text else ":"
    host, found, address = text.partition(separator)
    address = address[1:-1] if address[:1] == "[" and address[-1:] == "]" else address
    if not found or not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", host):
        raise Invalid(f'bad format for add-host: "{text}"', hint="Write --add-host NAME:ADDRESS.")
    if address != "host-gateway":
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            raise Invalid(f'invalid IP address in add-host: "{address}"') from None
    return f"{host}:{address}"


def read_size(text: str, flag: str) -> int:
    """``64m`` in bytes; units of base 1024. Invalid."""
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if not match or size > 2**63 - 1:
        raise Invalid(f'invalid argument "{text}" for {flag}: it is not a size such as 64m')
    return size


def _read_secret_file(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_SECRET + 1)
    except OSError as error:
        raise Invalid(f"secret {name}: {path}: {str(error.strerror).lower()}") from None


def _output(text: str) -> Output:
    if "=" not in text:
        return Output("tar", "-") if text == "-" else Output("local", _not_empty(text, "--output"))
    keys = {key: key for key in ("type", "dest", "push", "name")}
    found = read_fields(text, "--output", keys)
    kind, dest = found.get("type", ""), found.get("dest", "")
    names = tuple(name for name in found.get("name", "").split(",") if name)
    push = _truth(found.get("push", "false"), "push")
    if kind == "registry":
        kind, push = "image", True
    if kind == "docker" and not dest:
        kind = "image"
    if kind not in ("image", "local", "tar", "oci", "docker"):
        raise Invalid(
            f"invalid argument for --output: unknown type {kind!r}",
            hint="Known types: docker, image, local, oci, registry, tar.",
        )
    if kind == "local" and dest in ("", "-"):
        raise Invalid("invalid argument for --output: type=local needs dest=FOLDER")
    if push and kind != "image":
        raise Invalid(f"invalid argument for --output: push is for type=image, not for type={kind}")
    if kind == "image" and dest:
        raise Invalid(
            "invalid argument for --output: dest is not for type=image", hint="type=oci,dest=FILE writes a file."
        )
    return Output(kind, dest or ("" if kind == "image" else "-"), push, names)


def _cache_fields(text: str, flag: str, known: dict[str, str]) -> dict[str, str]:
    return {"type": "registry", "ref": text} if "=" not in text else read_fields(text, flag, known)


def _cache_place(found: dict[str, str], flag: str, folder: str, check: Callable[[str], object]) -> CachePlace:
    kind, mode = found.get("type", ""), found.get("mode", "min")
    if mode not in ("min", "max"):
        raise Invalid(f"invalid argument for {flag}: the mode is min or max, not {mode!r}")
    if kind not in ("registry", "local"):
        raise Invalid(f"invalid argument for {flag}: unknown type {kind!r}", hint="Known types: local, registry.")
    key = "ref" if kind == "registry" else folder
    if not found.get(key):
        raise Invalid(f"invalid argument for {flag}: type={kind} needs {key}=")
    if kind == "registry":
        check(found[key])
    return CachePlace(kind, found[key], mode)


def _truth(text: str, key: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise Invalid(f"invalid argument for --output: {key} is true or false, not {text!r}")
    return text.lower() in ("true", "1")


def _not_empty(text: str, flag: str) -> str:
    if not text:
        raise Invalid(f"invalid argument for {flag}: it is empty")
    return text
