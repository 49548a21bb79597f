"""The paths of the distribution API, taken apart. Pure: no HTTP, no lookup.

Source: OCI distribution specification, section "Endpoints". A repository may be called ``blobs``, ``manifests`` or
``tags/list``, so a path is read from its end: the name is everything before the last verb.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache

from dockyard.oci.reference import RepositoryName, parse_repository


class Kind(enum.Enum):
    """What a path is about; the values are what logs and metrics call it."""

    BASE = "base"
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "uploads"  # where sessions start
    UPLOAD = "upload"  # one session
    REFERRERS = "referrers"
    TOKEN = "token"  # noqa: S105 - the token service
    API = "api"  # the JSON API
    OTHER = "other"  # nothing of the distribution API

    # Enum's own hash is a Python function, and one of these is in the key of every dispatch.
    __hash__ = object.__hash__


NOWHERE = RepositoryName("")


@dataclass(frozen=True, slots=True)
class Route:
    """What a path names: ``rest`` is the tag, digest or session id at its end, not checked yet."""

    kind: Kind
    repository: RepositoryName = NOWHERE
    rest: str = ""


_BY_VERB = {"manifests": Kind.MANIFEST, "blobs": Kind.BLOB, "referrers": Kind.REFERRERS}
_SESSIONS = ["blobs", "uploads"]


@lru_cache(maxsize=8192)
def parse_path(path: str) -> Route | None:
    """Read a path as it was sent, with its percent signs; ``None`` where nothing lives there.

    Raise NameInvalid where there is a verb after something that is no repository's name. Nothing is decoded but the
    colon of a digest: an escaped slash or dot is part of no name.
    """
    if path in ("/v2/", "/v2"):
        return Route(Kind.BASE)
    if path == "/v2/_catalog":
        return Route(Kind.CATALOG)
    if not path.startswith("/v2/"):
        return None
    parts = path[4:].split("/")
    # Proxies and clients disagree about this one slash, and a POST can't be redirected.
    tolerant = parts[-1] == ""
    if tolerant:
        parts.pop()
    found = _split(parts)
    if found is None:
        return None
    kind, name, rest = found
    if tolerant and kind not in (Kind.UPLOADS, Kind.UPLOAD):
        return None
    return Route(kind, parse_repository("/".join(name)), rest)


def _split(parts: list[str]) -> tuple[Kind, list[str], str] | None:
    """Kind, the parts of the name, and what follows the verb."""
    if len(parts) < 3 or not parts[-1]:
        return None
    verb, rest = parts[-2:]
    if parts[-2:] == _SESSIONS:
        return Kind.UPLOADS, parts[:-2], ""
    if parts[-2:] == ["tags", "list"]:
        return Kind.TAGS, parts[:-2], ""
    if verb in _BY_VERB:
        return _BY_VERB[verb], parts[:-2], rest.replace("%3A", ":").replace("%3a", ":")
    if parts[-3:-1] == _SESSIONS and len(parts) > 3:
        return Kind.UPLOAD, parts[:-3], rest
    return None


def blob_path(repository: RepositoryName, digest: object) -> str:
    """Where a blob is pulled from."""
    return f"/v2/{repository}/blobs/{digest}"


def manifest_path(repository: RepositoryName, target: object) -> str:
    """Where a manifest is pulled from."""
    return f"/v2/{repository}/manifests/{target}"


def upload_path(repository: RepositoryName, session: str) -> str:
    """Where an upload session goes on."""
    return f"/v2/{repository}/blobs/uploads/{session}"
