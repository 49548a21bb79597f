"""Tags: what they mean now, what they meant before, and since when a manifest has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, insert, select, update

from dockyard.registry.catalog.conflicts import insert_or_update
from dockyard.registry.schema import manifests, repositories, tag_history, tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from dockyard.oci.reference import RepositoryName


def names(connection: Connection, repository: RepositoryName, *, after: str, limit: int) -> list[str]:
    """Tags of the repository in order, those after ``after``."""
    query = (
        select(tags.c.name)
        .join(repositories, repositories.c.id == tags.c.repository)
        .where(repositories.c.name == repository, tags.c.name > after)
    )
    return list(connection.scalars(query.order_by(tags.c.name).limit(limit)))


def find(connection: Connection, repository: int, name: str) -> str | None:
    """The digest of the manifest that the tag means."""
    return connection.scalar(select(tags.c.digest).where(tags.c.repository == repository, tags.c.name == name))


def of(connection: Connection, repository: int, digest: str) -> list[str]:
    """The tags that mean a manifest, in order."""
    query = select(tags.c.name).where(tags.c.repository == repository, tags.c.digest == digest)
    return list(connection.scalars(query.order_by(tags.c.name)))


def point(
    connection: Connection,
    repository: int,
    names: Iterable[str],
    digest: str,
    named: str | None,
    revision: int,
    at: int,
    actor: int | None,
) -> None:
    """Let the tags mean the manifest from now on, by the name ``named`` where it is not its digest."""
    touched = {digest}
    for name in names:
        before = find(connection, repository, name)
        row = {"repository": repository, "name": name, "digest": digest, "named": named}
        insert_or_update(connection, tags, row, update=("digest", "named"))
        if before == digest:
            continue
        _remember(connection, repository, name, digest, revision, at, actor)
        if before:
            touched.add(before)
    for changed in sorted(touched):
        _note_untagged(connection, repository, changed, at)


def remove(
    connection: Connection, repository: int, names: Iterable[str], revision: int, at: int, actor: int | None
) -> None:
    """Take the tags away."""
    for name in names:
        digest = find(connection, repository, name)
        if digest is None:
            continue
        connection.execute(delete(tags).where(tags.c.repository == repository, tags.c.name == name))
        _remember(connection, repository, name, None, revision, at, actor)
        _note_untagged(connection, repository, digest, at)


def _remember(
    connection: Connection, repository: int, tag: str, digest: str | None, revision: int, at: int, actor: int | None
) -> None:
    row = {"repository": repository, "tag": tag, "revision": revision, "digest": digest, "at": at, "actor": actor}
    connection.execute(insert(tag_history), row)


def _note_untagged(connection: Connection, repository: int, digest: str, at: int) -> None:
    manifest = (manifests.c.repository == repository, manifests.c.digest == digest)
    tagged = exists().where(tags.c.repository == repository, tags.c.digest == digest)
    connection.execute(update(manifests).where(*manifest, tagged).values(untagged_since=None))
    bare = update(manifests).where(*manifest, ~tagged, manifests.c.untagged_since.is_(None))
    connection.execute(bare.values(untagged_since=at))
