"""The text behind ``RUN --mount=``, read and checked.

Source: docker's Dockerfile reference, section "RUN --mount".
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dockyard.dockerfile.paths import workdir
from dockyard.dockerfile.steps import Mount, Origin, Where
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_FLAGS = {"readonly": "readonly", "ro": "readonly", "readwrite": "readwrite", "rw": "readwrite", "required": "required"}
_NAMES = {
    "type": "type", "from": "from", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "id": "id", "sharing": "sharing", "size": "size", "mode": "mode", "uid": "uid",
    "gid": "gid", "env": "env", **_FLAGS,
}  # fmt: skip
OPTIONS = {
    "bind": {"from", "source", "target", "readonly", "readwrite"},
    "cache": {"from", "source", "target", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"target", "size", "readonly", "readwrite"},
    "secret": {"id", "source", "target", "env", "required", "mode", "uid", "gid"},
    "ssh": {"id", "target", "required", "mode", "uid", "gid"},
}
"""What each type of mount may say."""
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_MOST_SIZE, _MOST_ID, _MOST_MODE = 2**63 - 1, 2**32 - 2, 0o7777


@dataclass(frozen=True, slots=True)
class MountPlace:
    """What a mount is read against: the working folder, and how many ssh mounts came before it."""

    workdir: str = "/"
    agents: int = 0


def mount_source(text: str) -> str:
    """What ``from=`` names, before anything else is known; ``""`` where it says nothing. Raise :class:`Invalid`."""
    fields = dict(_fields(text))
    kind = (fields.get("type") or "bind").lower()
    found = fields.get("from") or ""
    if re.search(r"\$.", found):
        raise Invalid("'from' doesn't support variable expansion, define alias stage instead")
    return found if kind not in ("tmpfs", "secret", "ssh") else ""


def parse_mount(text: str, place: MountPlace, expand: Callable[[str], str], origin: Callable[[str], Origin]) -> Mount:
    """Read the text of one mount; ``origin`` says what the name behind ``from=`` is. Raise :class:`Invalid`."""
    fields: dict[str, str] = {}
    for name, value in _fields(text):
        if value is None:
            if name not in _FLAGS:
                raise Invalid(f"invalid field '{name}' must be a key=value pair")
            value = "true"
        key = _NAMES[name]
        if key in ("readonly", "readwrite"):
            fields.pop("readonly", None)
            fields.pop("readwrite", None)
        fields[key] = expand(value)
    kind = fields.pop("type", "bind").lower()
    if kind not in _TYPES:
        raise Invalid(f'unsupported mount type "{kind}": it is one of {", ".join(_TYPES)}')
    if wrong := [name for name in fields if name not in OPTIONS[kind]]:
        raise Invalid(f"unexpected key '{wrong[0]}' for mount type '{kind}'")
    return _READERS[kind](fields, place, origin)


def _bind(fields: dict[str, str], place: MountPlace, origin: Callable[[str], Origin]) -> Mount:
    found = origin(fields["from"]) if fields.get("from") else Origin(Where.CONTEXT)
    return Mount(
        "bind", _target(fields, place), found, fields.get("source", ""), readonly=_readonly(fields, default=True)
    )


def _cache(fields: dict[str, str], place: MountPlace, origin: Callable[[str], Origin]) -> Mount:
    sharing = (fields.get("sharing") or "shared").lower()
    if sharing not in _SHARING:
        raise Invalid(f'unsupported sharing value "{sharing}": it is one of {", ".join(_SHARING)}')
    found = origin(fields["from"]) if fields.get("from") else None
    name = fields.get("id") or posixpath.normpath(fields.get("target", ""))
    readonly = _readonly(fields, default=False)
    mount = Mount("cache", _target(fields, place), found, fields.get("source", ""), name, readonly, sharing)
    return _owned(mount, fields)


def _tmpfs(fields: dict[str, str], place: MountPlace, _: object) -> Mount:
    size = _size(fields["size"]) if fields.get("size") else None
    return Mount("tmpfs", _target(fields, place), readonly=_readonly(fields, default=False), size=size)


def _secret(fields: dict[str, str], place: MountPlace, _: object) -> Mount:
    name, source, target = fields.get("id", ""), fields.get("source", ""), fields.get("target", "")
    if name and source:
        raise Invalid("both source and id can't be set")
    name = name or source or posixpath.basename(target)
    if not name:
        raise Invalid("invalid secret mount. one of source, target required")
    env = fields.get("env", "")
    if not target and not env:
        target = f"/run/secrets/{posixpath.basename(name)}"
    where = workdir(place.workdir, target, windows=False) if target else ""
    mount = Mount("secret", where, id=name, env=env, required=_bool(fields, "required"), readonly=True)
    return _owned(mount, fields)


def _ssh(fields: dict[str, str], place: MountPlace, _: object) -> Mount:
    target = fields.get("target") or f"/run/buildkit/ssh_agent.{place.agents}"
    where = workdir(place.workdir, target, windows=False)
    mount = Mount("ssh", where, id=fields.get("id") or "default", required=_bool(fields, "required"), readonly=True)
    return _owned(mount, fields)


_READERS = {"bind": _bind, "cache": _cache, "tmpfs": _tmpfs, "secret": _secret, "ssh": _ssh}


def _fields(text: str) -> list[tuple[str, str | None]]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Invalid(f"failed to parse csv mounts: {error}") from None
    out: list[tuple[str, str | None]] = []
    for field in rows[0] if rows else ():
        key, equals, value = field.partition("=")
        name = key.lower()
        if name not in _NAMES:
            raise Invalid(f"unexpected key '{name}' in '{field}'", hint=_suggest(name))
        out.append((name, value if equals else None))
    return out


def _suggest(name: str) -> str | None:
    import difflib

    close = difflib.get_close_matches(name, _NAMES, 1)
    return f"Did you mean {close[0]}?" if close else None


def _target(fields: dict[str, str], place: MountPlace) -> str:
    target = workdir(place.workdir, fields.get("target", ""), windows=False)
    if target == "/":
        raise Invalid('invalid mount target "/"')
    return target


def _owned(mount: Mount, fields: dict[str, str]) -> Mount:
    mode = _number(fields, "mode", _MOST_MODE, base=8)
    return replace(mount, mode=mode, uid=_number(fields, "uid", _MOST_ID), gid=_number(fields, "gid", _MOST_ID))


def _number(fields: dict[str, str], name: str, most: int, *, base: int = 10) -> int | None:
    if name not in fields:
        return None
    digits = "[0-7]{1,12}" if base == 8 else "[0-9]{1,12}"
    value = int(fields[name], base) if re.fullmatch(digits, fields[name]) else most + 1
    if value > most:
        raise Invalid(f"invalid value {fields[name]} for {name}")
    return value


def _readonly(fields: dict[str, str], *, default: bool) -> bool:
    if "readwrite" in fields:
        return not _bool(fields, "readwrite")
    return _bool(fields, "readonly") if "readonly" in fields else default


def _bool(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "false")
    if value not in (*_TRUE, *_FALSE):
        raise Invalid(f"invalid value for {name}: {value}")
    return value in _TRUE


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(float(found[1]) * 1024 ** "_kmgtp".index(found[2].lower() or "_")) if found and len(text) < 40 else -1
    if not 0 <= size <= _MOST_SIZE:
        raise Invalid(f"invalid value for size: {text}")
    return size
