"""Blobs, the sha512 names of content, and the links that say which repository may show which blob."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from dockyard.errors import BlobUnknown, Unsupported
from dockyard.registry.catalog import access
from dockyard.registry.catalog import repositories as repositories_of
from dockyard.registry.catalog.conflicts import insert_new, insert_or_update
from dockyard.registry.database import LookUp
from dockyard.registry.schema import aliases, blobs, edges, links, repositories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.access import Actor

SEEN_MS = 3_600_000
"""A link seen less than this ago need not be renewed."""

IN_LIST = 1000
"""Values in one ``IN (…)``: databases have a limit."""


class Shown(NamedTuple):
    """A blob that a repository may show, and when a client was last told so."""

    repository: int
    digest: str
    size: int
    key: str
    seen: int


BLOB = LookUp(
    select(links.c.repository, blobs.c.digest, blobs.c.size, blobs.c.key, links.c.seen)
    .select_from(repositories)
    .join(links, links.c.repository == repositories.c.id)
    .join(blobs, blobs.c.digest == links.c.blob)
    .where(repositories.c.name == bindparam("a"), links.c.blob == bindparam("b"))
)
"""The columns of :class:`Shown` by repository name and sha256 digest."""

ALIAS = LookUp(select(aliases.c.digest).where(aliases.c.alias == bindparam("a")))
"""The sha256 digest of content that a client named otherwise."""


def canonical(connection: Connection, digest: Digest) -> str:
    """The sha256 name of content; where an alias is unknown the alias, which no row has as its digest."""
    if digest.algorithm == "sha256":
        return str(digest)
    found = connection.scalar(select(aliases.c.digest).where(aliases.c.alias == str(digest)))
    return found or str(digest)


def add_alias(connection: Connection, alias: Digest, digest: str) -> None:
    """Let ``alias`` name the content too; a sha256 name is none."""
    if alias.algorithm != "sha256":
        insert_new(connection, aliases, {"alias": str(alias), "digest": digest})


def add(connection: Connection, digest: str, size: int, key: str, now: int) -> str:
    """Say that the blob is kept under ``key``, unless it is kept already; return the key that it has."""
    insert_new(connection, blobs, {"digest": digest, "size": size, "key": key, "created": now})
    winner: str = connection.scalars(select(blobs.c.key).where(blobs.c.digest == digest)).one()
    return winner


def link(connection: Connection, repository: int, digest: str, now: int, *, mounted: bool) -> None:
    """Let the repository show the blob. The next push that needs it is credited with it."""
    row = {"repository": repository, "blob": digest, "seen": now, "created": now}
    row |= {"mounted": mounted, "credited": False}
    insert_or_update(connection, links, row, update=("seen", "mounted", "credited"))


def find(connection: Connection, repository: RepositoryName, digest: Digest) -> Shown | None:
    """A blob that the repository may show."""
    query = BLOB.query
    row = connection.execute(query, {"a": repository, "b": canonical(connection, digest)}).one_or_none()
    return Shown(*row) if row else None


def renew(connection: Connection, repository: int, digests: Iterable[str], now: int) -> None:
    """Note that a client was told that the blobs are here; recently noted ones stay as they are."""
    for part in parts(sorted(set(digests))):
        chosen = update(links).where(links.c.repository == repository, links.c.blob.in_(part))
        connection.execute(chosen.where(links.c.seen < now - SEEN_MS).values(seen=now))


def holder(connection: Connection, actor: Actor, digest: Digest) -> str | None:
    """The name of a repository that the actor may read and that may show the blob."""
    query = (
        select(repositories.c.name)
        .join(links, links.c.repository == repositories.c.id)
        .where(links.c.blob == canonical(connection, digest), access.readable(actor))
    )
    return connection.scalar(query.limit(1))


def mount(
    connection: Connection, actor: Actor, target: RepositoryName, digest: Digest, origin: RepositoryName, now: int
) -> Shown | None:
    """Let ``target`` show a blob that ``origin`` may show; ``None`` where it may not."""
    found = find(connection, origin, digest)
    if found is None:
        return None
    repository = repositories_of.ensure(connection, target, actor, now)
    if find(connection, target, digest) is None:
        link(connection, repository, found.digest, now, mounted=True)
    else:
        renew(connection, repository, [found.digest], now)
    return found


def removable(connection: Connection, repository: RepositoryName, digest: Digest) -> tuple[int, str]:
    """Return the repository's id and the blob's sha256 name.

    BlobUnknown; Unsupported while a manifest of the repository needs it.
    """
    found = find(connection, repository, digest)
    if found is None:
        raise BlobUnknown(f"blob {digest} is not in {repository}")
    at = (edges.c.repository == found.repository, edges.c.child.in_(names(connection, found.digest)))
    needed = connection.scalar(select(edges.c.parent).where(*at, edges.c.is_manifest.is_(False)).limit(1))
    if needed:
        raise Unsupported(f"blob {digest} is needed by manifest {needed} of {repository}: delete that first")
    return found.repository, found.digest


def remove_link(connection: Connection, repository: int, digest: str) -> None:
    """Let the repository show the blob no longer. Row and bytes stay for the collection."""
    connection.execute(delete(links).where(links.c.repository == repository, links.c.blob == digest))


def names(connection: Connection, digest: str) -> list[str]:
    """Every name of some content: the sha256 digest and its aliases."""
    return [digest, *connection.scalars(select(aliases.c.alias).where(aliases.c.digest == digest))]


def parts(values: list[str]) -> list[list[str]]:
    """Cut a list into such as fit one ``IN (…)``."""
    return [values[start : start + IN_LIST] for start in range(0, len(values), IN_LIST)]
