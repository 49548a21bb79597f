"""The journal's records: each change of a tag, manifest or repository, with all that a rebuild needs of it.

A record is one JSON object, written once. It holds a manifest's bytes and where the bytes of its blobs are, so that
storage alone brings back every repository, tag and manifest.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Kept(msgspec.Struct, frozen=True):
    """A blob: its sha256 digest, size in bytes, key in the store and when it came."""

    digest: str
    size: int
    key: str
    created: int


class Put(msgspec.Struct, frozen=True, tag="put"):
    """A manifest came, under ``tags``; ``aliases`` are other names of it and of its blobs.

    ``named`` is the one that the client gave it with the tags, where that is one of them.
    """

    digest: str
    media_type: str
    raw: str
    tags: list[str]
    blobs: list[Kept]
    aliases: dict[str, str]
    received: int
    mounted: int
    known: int
    named: str | None = None


class Untag(msgspec.Struct, frozen=True, tag="untag"):
    """A tag was taken away."""

    tag: str


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """A manifest went, with every tag that meant it."""

    digest: str


class Unlink(msgspec.Struct, frozen=True, tag="unlink"):
    """The repository shows a blob no longer."""

    blob: str


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """The repository went with all that was in it. Its record is the last one, under the name that it had."""


Change = Put | Untag | Delete | Unlink | Remove


class Place(msgspec.Struct, frozen=True):
    """The repository of a change, as it was then."""

    id: int
    name: str
    created: int
    namespace: int | None
    namespace_created: int


class Record(msgspec.Struct, frozen=True):
    """One change: the repository's ``revision``-th, made ``at`` a time in milliseconds by ``actor``."""

    repository: Place
    revision: int
    at: int
    actor: int | None
    change: Change
    version: Literal[1] = 1


class Entry(msgspec.Struct, frozen=True):
    """A record on its way into the journal."""

    repository: int
    revision: int
    record: bytes


def encode(record: Record) -> bytes:
    """The record as it is stored."""
    return msgspec.json.encode(record)


def decode(raw: bytes) -> Record:
    """Read a stored record; raise ``msgspec.ValidationError`` where it is none."""
    return msgspec.json.decode(raw, type=Record)
