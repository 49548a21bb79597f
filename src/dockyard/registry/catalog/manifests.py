"""Manifests: the bytes as they were pushed, what each needs, and what refers to what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from dockyard.errors import ManifestBlobUnknown, PageInvalid
from dockyard.oci import media_types, strict_json
from dockyard.oci.manifest import MAX_MANIFEST
from dockyard.registry.catalog import blobs as blobs_of
from dockyard.registry.catalog.conflicts import insert_new
from dockyard.registry.database import LookUp
from dockyard.registry.schema import aliases, edges, links, manifests, repositories, tags
from dockyard.registry.schema import blobs as blob_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from dockyard.oci.digest import Digest
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.reference import RepositoryName

NAMED = 100
"""Missing digests that an error names: an index may miss ten thousand."""

REFERRERS = 1000
"""Referrers in one answer."""

FRAME = 1024
"""Bytes of a list of referrers besides the descriptors, rather more than less."""

_PLACE = re.compile(r"(\d{1,18})-(sha256:[0-9a-f]{64})", re.ASCII)

BY_TAG = LookUp(
    select(manifests.c.raw, manifests.c.media_type, tags.c.named)
    .select_from(repositories)
    .join(tags, tags.c.repository == repositories.c.id)
    .join(manifests, (manifests.c.repository == tags.c.repository) & (manifests.c.digest == tags.c.digest))
    .where(repositories.c.name == bindparam("a"), tags.c.name == bindparam("b"))
)
"""Bytes, media type and the digest that the tag came under, by repository name and tag."""

BY_DIGEST = LookUp(
    select(manifests.c.raw, manifests.c.media_type)
    .select_from(repositories)
    .join(manifests, manifests.c.repository == repositories.c.id)
    .where(repositories.c.name == bindparam("a"), manifests.c.digest == bindparam("b"))
)
"""Bytes and media type by repository name and sha256 digest."""


def is_here(connection: Connection, repository: int, digest: str) -> bool:
    """Whether the repository has the manifest."""
    query = select(manifests.c.size).where(manifests.c.repository == repository, manifests.c.digest == digest)
    return connection.scalar(query) is not None


def edges_of(connection: Connection, manifest: Manifest) -> list[tuple[str, bool]]:
    """What the manifest needs: sha256 names, where those are known, and whether each is a manifest."""
    wanted = [(found.digest, manifest.is_index) for found in (*manifest.blobs, *manifest.manifests)]
    known = _canonical(connection, (digest for digest, _ in wanted))
    return sorted({(known[digest], is_manifest) for digest, is_manifest in wanted})


def check_needs(connection: Connection, repository: int, manifest: Manifest) -> None:
    """Raise ManifestBlobUnknown, naming what the manifest needs and the repository does not have.

    Layers that may stay away and the subject need not be here.
    """
    needed = [found.digest for found in manifest.manifests]
    needed += [found.digest for found in manifest.blobs if not media_types.is_foreign(found.media_type)]
    known = _canonical(connection, needed)
    column, owner = (manifests.c.digest, manifests.c.repository)
    if not manifest.is_index:
        column, owner = (links.c.blob, links.c.repository)
    here: set[str] = set()
    for part in blobs_of.parts(sorted(set(known.values()))):
        here.update(connection.scalars(select(column).where(owner == repository, column.in_(part))))
    missing = sorted({str(digest) for digest in needed if known[digest] not in here})
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise ManifestBlobUnknown(f"the repository does not have {shown}", detail=missing[:NAMED])


def blobs_here(connection: Connection, repository: int, digests: Iterable[str]) -> list[Row[Any]]:
    """Those of the blobs that the repository shows: digest, size, key, created, mounted, credited."""
    columns = (*blob_rows.c, links.c.mounted, links.c.credited)
    found: list[Row[Any]] = []
    for part in blobs_of.parts(sorted(set(digests))):
        query = select(*columns).join(links).where(links.c.repository == repository, links.c.blob.in_(part))
        found += connection.execute(query.order_by(blob_rows.c.digest))
    return found


def credit(connection: Connection, repository: int, digests: Iterable[str]) -> None:
    """Note that a push has been credited with bringing the blobs."""
    for part in blobs_of.parts(sorted(set(digests))):
        chosen = update(links).where(links.c.repository == repository, links.c.blob.in_(part))
        connection.execute(chosen.values(credited=True))


def aliases_of(connection: Connection, digests: Iterable[str]) -> dict[str, str]:
    """Every other name of some content."""
    found: dict[str, str] = {}
    for part in blobs_of.parts(sorted(set(digests))):
        rows = connection.execute(select(aliases.c.alias, aliases.c.digest).where(aliases.c.digest.in_(part)))
        found.update((row.alias, row.digest) for row in rows)
    return found


def add(connection: Connection, repository: int, digest: str, manifest: Manifest, at: int) -> None:
    """Keep the manifest; already here is fine, and its media type is then the one it came with last."""
    chosen = (manifests.c.repository == repository, manifests.c.digest == digest)
    if is_here(connection, repository, digest):
        connection.execute(update(manifests).where(*chosen).values(media_type=manifest.media_type))
        return
    row = {
        "repository": repository,
        "digest": digest,
        "media_type": manifest.media_type,
        "size": len(manifest.raw),
        "created": at,
        "untagged_since": at,
        "artifact_type": manifest.artifact_type,
        "subject": str(manifest.subject.digest) if manifest.subject else None,
        "annotations": strict_json.dump(dict(manifest.annotations)).decode(),
        "raw": manifest.raw,
    }
    connection.execute(insert(manifests), row)
    needs = [
        {"repository": repository, "parent": digest, "child": child, "is_manifest": is_manifest}
        for child, is_manifest in edges_of(connection, manifest)
    ]
    insert_new(connection, edges, needs)


def remove(connection: Connection, repository: int, digest: str) -> None:
    """Let go of a manifest that has no tags."""
    connection.execute(delete(edges).where(edges.c.repository == repository, edges.c.parent == digest))
    connection.execute(delete(manifests).where(manifests.c.repository == repository, manifests.c.digest == digest))


def parent(connection: Connection, repository: int, digest: str) -> str | None:
    """An index of the repository that needs the manifest."""
    child = edges.c.child.in_(blobs_of.names(connection, digest))
    query = select(edges.c.parent).where(edges.c.repository == repository, child, edges.c.is_manifest.is_(True))
    return connection.scalar(query.order_by(edges.c.parent).limit(1))


def referrers(
    connection: Connection, repository: RepositoryName, subject: Digest, artifact_type: str | None, after: str
) -> tuple[list[dict[str, Any]], str]:
    """Descriptors of the manifests that are about ``subject``, the oldest first, as many as a manifest could name.

    With where the list goes on: given as ``after``, that brings those which follow; ``""`` after the last one.
    """
    subjects = {str(subject), *blobs_of.names(connection, blobs_of.canonical(connection, subject))}
    columns = (manifests.c.media_type, manifests.c.digest, manifests.c.size)
    query = (
        select(*columns, manifests.c.artifact_type, manifests.c.annotations, manifests.c.created)
        .join(repositories, repositories.c.id == manifests.c.repository)
        .where(repositories.c.name == repository, manifests.c.subject.in_(sorted(subjects)))
    )
    if artifact_type is not None:
        query = query.where(manifests.c.artifact_type == artifact_type)
    if after:
        query = query.where(tuple_(manifests.c.created, manifests.c.digest) > _place(after))
    rows = connection.execute(query.order_by(manifests.c.created, manifests.c.digest).limit(REFERRERS + 1))
    found: list[dict[str, Any]] = []
    left, last = MAX_MANIFEST - FRAME, ""
    for *fields, created in rows:
        descriptor = _descriptor(*fields)
        left -= len(strict_json.dump(descriptor)) + 1
        if found and (left < 0 or len(found) == REFERRERS):
            return found, last
        found.append(descriptor)
        last = f"{created}-{descriptor['digest']}"
    return found, ""


def _place(text: str) -> tuple[int, str]:
    if not (match := _PLACE.fullmatch(text)):
        raise PageInvalid(f"{text[:100]!r} is not where a list of referrers goes on")
    return int(match[1]), match[2]


def _descriptor(media_type: str, digest: str, size: int, artifact_type: str | None, annotations: str) -> dict[str, Any]:
    descriptor: dict[str, Any] = {"mediaType": media_type, "digest": digest, "size": size}
    if artifact_type:
        descriptor["artifactType"] = artifact_type
    if found := strict_json.parse_object(annotations.encode(), "a manifest's annotations"):
        descriptor["annotations"] = found
    return descriptor


def _canonical(connection: Connection, digests: Iterable[Digest]) -> dict[Digest, str]:
    known = {digest: str(digest) for digest in digests}
    others = sorted(name for digest, name in known.items() if digest.algorithm != "sha256")
    found: dict[str, str] = {}
    for part in blobs_of.parts(others):
        rows = connection.execute(select(aliases.c.alias, aliases.c.digest).where(aliases.c.alias.in_(part)))
        found.update((row.alias, row.digest) for row in rows)
    return {digest: found.get(name, name) for digest, name in known.items()}
