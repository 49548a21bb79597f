"""Upload sessions: how far each one is, and which request holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from dockyard.errors import BlobUploadUnknown, RangeInvalid, UploadTaken
from dockyard.registry.catalog import blobs, repositories
from dockyard.registry.database import LookUp
from dockyard.registry.schema import blobs as blob_rows
from dockyard.registry.schema import repositories as repository_rows
from dockyard.registry.schema import uploads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor


@dataclass(frozen=True, slots=True)
class Session:
    """One request's hold on an upload: the row as it was when ``generation`` was raised for it."""

    id: str
    repository: int
    algorithm: str
    offset: int
    sha256: bytes | None
    sha512: bytes | None
    parts: str
    generation: int


GENERATION = LookUp(select(uploads.c.generation).where(uploads.c.id == bindparam("a")))
"""Who holds an upload now."""

STARTED_BY = LookUp(select(uploads.c.actor).where(uploads.c.id == bindparam("a")))
"""Whose upload it is."""


def begin(connection: Connection, id: str, repository: RepositoryName, actor: Actor, algorithm: str, now: int) -> None:
    """Start a session."""
    row: dict[str, Any] = {"id": id, "repository": repositories.ensure(connection, repository, actor, now)}
    row |= {
        "actor": actor.id,
        "algorithm": algorithm,
        "offset": 0,
        "parts": "",
        "generation": 0,
        "started": now,
        "touched": now,
    }
    connection.execute(insert(uploads), row)


def take_over(
    connection: Connection, id: str, repository: RepositoryName, actor: int | None, start: int | None, now: int
) -> Session:
    """Take the session from whoever holds it.

    BlobUploadUnknown; RangeInvalid, which leaves the holder alone, where ``start`` is not its offset.
    """
    chosen = uploads.c.id == id
    query = select(uploads, repository_rows.c.name).join(repository_rows).where(chosen)
    row = connection.execute(query).one_or_none()
    if row is None or row.name != repository or row.actor != actor:
        raise ended(id)
    if start is not None and start != row.offset:
        raise RangeInvalid(f"the chunk starts at {start}, and the upload stands at {row.offset}", offset=row.offset)
    connection.execute(update(uploads).where(chosen).values(generation=row.generation + 1, touched=now))
    return Session(id, row.repository, row.algorithm, row.offset, row.sha256, row.sha512, row.parts, row.generation + 1)


def move(
    connection: Connection, session: Session, offset: int, states: Mapping[str, bytes | None], parts: str, now: int
) -> None:
    """Say that ``offset`` bytes are durable, and what their hashes are. UploadTaken when another holds the session.

    BlobUploadUnknown when it ended.
    """
    chosen = update(uploads).where(uploads.c.id == session.id, uploads.c.generation == session.generation)
    values = {"offset": offset, "parts": parts, "touched": now}
    values |= {"sha256": states.get("sha256"), "sha512": states.get("sha512")}
    if not connection.execute(chosen.values(values)).rowcount:
        there = connection.scalar(select(uploads.c.generation).where(uploads.c.id == session.id))
        raise ended(session.id) if there is None else overtaken(session.id)


def overtaken(id: str) -> UploadTaken:
    """The error of a request whose session another one took."""
    return UploadTaken(f"another request took over upload {id}")


def ended(id: str) -> BlobUploadUnknown:
    """The error of a request whose session is not there, or not there any more."""
    return BlobUploadUnknown(
        f"there is no upload {id} here",
        hint="It was finished, cancelled or has expired. Send the blob again only where HEAD does not find it.",
    )


def of(connection: Connection, repository: int) -> list[tuple[str, str]]:
    """Ids and parts of the repository's sessions."""
    query = select(uploads.c.id, uploads.c.parts).where(uploads.c.repository == repository)
    return [(row.id, row.parts) for row in connection.execute(query)]


def remove(connection: Connection, id: str) -> bool:
    """End a session; ``False`` where it had ended."""
    return bool(connection.execute(delete(uploads).where(uploads.c.id == id)).rowcount)


def finish(connection: Connection, session: Session, digest: str, asked: Digest, size: int, key: str, now: int) -> str:
    """Turn the session into a blob that its repository shows; return the key that the blob has.

    That is another than ``key`` where the same bytes were here before. BlobUploadUnknown: the repository was removed.
    """
    removed = select(repository_rows.c.removed).where(repository_rows.c.id == session.repository)
    if connection.scalar(removed) is not None:
        raise ended(session.id)
    # Whoever came for the session after its bytes had become the blob found none, and ended it: the blob is as good.
    remove(connection, session.id)
    winner = blobs.add(connection, digest, size, key, now)
    blobs.add_alias(connection, asked, digest)
    blobs.link(connection, session.repository, digest, now, mounted=False)
    return winner


def is_kept(connection: Connection, key: str) -> bool:
    """Whether a blob has this key."""
    return connection.scalar(select(blob_rows.c.key).where(blob_rows.c.key == key)) is not None


def untouched(connection: Connection, since: int, limit: int = 1000) -> list[tuple[str, str]]:
    """Ids and parts of the sessions that nobody has touched since then."""
    query = select(uploads.c.id, uploads.c.parts).where(uploads.c.touched < since).limit(limit)
    return [(row.id, row.parts) for row in connection.execute(query)]


def remove_untouched(connection: Connection, id: str, since: int) -> bool:
    """End a session if still nobody has touched it."""
    chosen = delete(uploads).where(uploads.c.id == id, uploads.c.touched < since)
    return bool(connection.execute(chosen).rowcount)


def known(connection: Connection, ids: list[str]) -> set[str]:
    """Those of ``ids`` that are sessions."""
    return {
        id for part in blobs.parts(ids) for id in connection.scalars(select(uploads.c.id).where(uploads.c.id.in_(part)))
    }
