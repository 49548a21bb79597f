"""Every change of content: checked, applied, and recorded for the journal in the same transaction.

``apply`` is all that a change does to the tables. It is called for a change that happens, and for one read back
from the journal: a rebuilt database is the one that was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from dockyard.errors import ManifestUnknown, Unsupported
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest
from dockyard.registry.catalog import access, audit, blobs, manifests, removal, repositories, tags, uploads
from dockyard.registry.records import Change, Delete, Entry, Kept, Place, Put, Record, Remove, Unlink, Untag, encode
from dockyard.registry.schema import changes, pushes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from dockyard.oci.reference import RepositoryName, Tag
    from dockyard.registry.access import Actor


def put(
    connection: Connection,
    repository: RepositoryName,
    manifest: Manifest,
    alias: Digest | None,
    names: Sequence[Tag],
    *,
    sparse: bool,
    actor: Actor,
    now: int,
) -> Entry:
    """Take a manifest, under ``alias`` too, and tag it. ManifestBlobUnknown unless all it needs is here."""
    at = repositories.ensure(connection, repository, actor, now)
    if not sparse:
        manifests.check_needs(connection, at, manifest)
    digest = str(manifest.digest)
    if alias:
        blobs.add_alias(connection, alias, digest)
    here = manifests.blobs_here(connection, at, (child for child, _ in manifests.edges_of(connection, manifest)))
    kept = [row.digest for row in here]
    blobs.renew(connection, at, kept, now)
    manifests.credit(connection, at, kept)
    change = Put(
        digest=digest,
        media_type=manifest.media_type,
        raw=manifest.raw.decode(),
        tags=list(names),
        blobs=[Kept(row.digest, row.size, row.key, row.created) for row in here],
        aliases=manifests.aliases_of(connection, [digest, *kept]),
        received=sum(row.size for row in here if not row.credited and not row.mounted),
        mounted=sum(row.size for row in here if not row.credited and row.mounted),
        known=sum(row.size for row in here if row.credited),
        named=str(alias) if alias and str(alias) != digest else None,
    )
    return _happen(connection, at, change, actor, now)


def untag(connection: Connection, repository: RepositoryName, tag: Tag, *, actor: Actor, now: int) -> Entry:
    """Take a tag away. NameUnknown, ManifestUnknown."""
    at = repositories.known(connection, repository)
    if tags.find(connection, at, tag) is None:
        raise ManifestUnknown(f"there is no tag {tag} in {repository}")
    return _happen(connection, at, Untag(tag), actor, now)


def delete(connection: Connection, repository: RepositoryName, name: Digest, *, actor: Actor, now: int) -> Entry:
    """Remove a manifest with its tags. NameUnknown, ManifestUnknown; Unsupported while an index needs it."""
    at = repositories.known(connection, repository)
    digest = blobs.canonical(connection, name)
    if not manifests.is_here(connection, at, digest):
        raise ManifestUnknown(f"there is no manifest {name} in {repository}")
    if needed := manifests.parent(connection, at, digest):
        raise Unsupported(f"manifest {name} is needed by index {needed} of {repository}: delete that first")
    return _happen(connection, at, Delete(digest), actor, now)


def unlink(connection: Connection, repository: RepositoryName, name: Digest, *, actor: Actor, now: int) -> Entry | None:
    """Take a blob out of the repository. BlobUnknown; Unsupported while a manifest there needs it."""
    at, digest = blobs.removable(connection, repository, name)
    if not repositories.was_pushed_to(connection, repository):
        blobs.remove_link(connection, at, digest)
        return None  # the journal knows nothing of the repository, and so nothing of the blob
    return _happen(connection, at, Unlink(digest), actor, now)


def remove(
    connection: Connection, repository: RepositoryName, *, actor: Actor, now: int
) -> tuple[Entry | None, list[tuple[str, str]]]:
    """Remove the repository with all that is in it; return also its uploads, whose bytes are to go. NameUnknown."""
    at = repositories.known(connection, repository)
    ended = uploads.of(connection, at)
    access.raise_version(connection)
    if repositories.was_pushed_to(connection, repository):
        return _happen(connection, at, Remove(), actor, now), ended
    audit.note_at(connection, actor, "repository.remove", at, now=now)
    removal.remove(connection, at, now)
    return None, ended  # the journal knows nothing of it


def restore(connection: Connection, records: Iterable[Record]) -> None:
    """Let recorded changes happen once more, each repository's in the order of its revisions."""
    for record in records:
        place = record.repository
        removal.make_way(connection, place.id, place.name, record.at)
        repositories.restore(
            connection,
            id=place.id,
            name=place.name,
            created=place.created,
            namespace=place.namespace,
            namespace_created=place.namespace_created,
        )
        repositories.set_revision(connection, place.id, record.revision)
        row = {"repository": place.id, "revision": record.revision, "at": record.at, "record": None}
        connection.execute(insert(changes), row)
        if isinstance(record.change, Put):
            _restore_blobs(connection, place.id, record.change, record.at)
        apply(connection, place.id, record)


def apply(connection: Connection, repository: int, record: Record) -> None:
    """Do to the tables what a change does."""
    change, at, actor, revision = record.change, record.at, record.actor, record.revision
    match change:
        case Put():
            manifest = Manifest(change.raw.encode(), change.media_type)
            manifests.add(connection, repository, change.digest, manifest, at)
            tags.point(connection, repository, change.tags, change.digest, change.named, revision, at, actor)
            row = {"repository": repository, "revision": revision, "digest": change.digest, "at": at, "actor": actor}
            row |= {"received": change.received, "mounted": change.mounted, "known": change.known}
            connection.execute(insert(pushes), row)
        case Untag():
            tags.remove(connection, repository, [change.tag], revision, at, actor)
        case Delete():
            gone = tags.of(connection, repository, change.digest)
            tags.remove(connection, repository, gone, revision, at, actor)
            manifests.remove(connection, repository, change.digest)
        case Unlink():
            blobs.remove_link(connection, repository, change.blob)
        case Remove():
            removal.remove(connection, repository, at)


def unstored(connection: Connection, limit: int) -> list[Entry]:
    """Some of the records that are not known to be in the journal."""
    columns = (changes.c.repository, changes.c.revision, changes.c.record)
    query = select(*columns).where(changes.c.record.is_not(None)).order_by(changes.c.repository, changes.c.revision)
    return [Entry(*row) for row in connection.execute(query.limit(limit))]


def mark_stored(connection: Connection, entries: Iterable[tuple[int, int]]) -> None:
    """Say that the records of these repositories' revisions are in the journal."""
    for repository, revision in entries:
        chosen = (changes.c.repository == repository, changes.c.revision == revision)
        connection.execute(update(changes).where(*chosen).values(record=None))


def _happen(connection: Connection, repository: int, change: Change, actor: Actor, now: int) -> Entry:
    revision = repositories.next_revision(connection, repository)
    name, created, namespace, namespace_created, account = repositories.describe(connection, repository)
    place = Place(repository, name, created, namespace, namespace_created or 0)
    record = Record(place, revision, now, actor.id, change)
    raw = encode(record)
    connection.execute(insert(changes), {"repository": repository, "revision": revision, "at": now, "record": raw})
    action, detail = _described(change)
    audit.note(connection, actor, action, name, account=account, now=now, detail=detail)
    apply(connection, repository, record)
    return Entry(repository, revision, raw)


def _described(change: Change) -> tuple[str, dict[str, object]]:
    """What the audit log says of a change."""
    match change:
        case Put():
            return "manifest.push", {"digest": change.digest, "tags": change.tags}
        case Untag():
            return "tag.remove", {"tag": change.tag}
        case Delete():
            return "manifest.delete", {"digest": change.digest}
        case Unlink():
            return "blob.delete", {"digest": change.blob}
        case Remove():
            return "repository.remove", {}


def _restore_blobs(connection: Connection, repository: int, change: Put, at: int) -> None:
    for alias, digest in change.aliases.items():
        blobs.add_alias(connection, Digest.parse(alias), digest)
    for kept in change.blobs:
        blobs.add(connection, kept.digest, kept.size, kept.key, kept.created)
        blobs.link(connection, repository, kept.digest, at, mounted=False)
    manifests.credit(connection, repository, [kept.digest for kept in change.blobs])
