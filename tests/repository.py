"""One repository of a registry, for tests that say exactly which request goes out and what has to come back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from typing import TYPE_CHECKING, Any

from images import CONFIG, EMPTY_JSON, GZIP, INDEX, MANIFEST
from wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OCTETS = "application/octet-stream"
THING = "application/vnd.example.thing"

CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
    "UNSUPPORTED", "TOOMANYREQUESTS",
}  # fmt: skip
"""The codes of the specification, section "Error Codes"."""

LEGACY_CODES = {"TAG_INVALID"}
"""Section "Legacy Docker support error codes": clients may meet them."""


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def absent(algorithm: str = "sha256") -> str:
    """The digest of something that nobody has."""
    return digest_of(os.urandom(16), algorithm)


def describe(data: bytes, media_type: str, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data, algorithm), "size": len(data), **more}


def image(config: Mapping[str, Any], layers: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
    """An image manifest; ``more`` adds fields or replaces them."""
    fields = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": list(layers)}
    return json.dumps(fields | more).encode()


def index(manifests: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
    """An image index."""
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)} | more).encode()


def media_type_of(manifest: bytes) -> str:
    return str(json.loads(manifest).get("mediaType", MANIFEST))


def with_query(location: str, query: str) -> str:
    """``location`` with one more parameter, as clients have to add it: what is there already stays."""
    return f"{location}{'&' if '?' in location else '?'}{query}"


def refused(answer: Answer, status: int, *codes: str) -> str:
    """Check that a request was refused with this status and one of the codes, in the one format; return the message."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/json", answer
    errors = json.loads(answer.body)["errors"]
    assert isinstance(errors, list), errors
    assert errors, answer
    for error in errors:
        assert re.fullmatch("[A-Z_]+", error["code"]), error
        assert error["code"] in CODES | LEGACY_CODES, error
        assert isinstance(error.get("message", ""), str), error
    assert errors[0]["code"] in codes, errors
    return str(errors[0].get("message", ""))


class Repository:
    """A repository under a name that nobody else has. Each request is on a connection of its own: on any worker."""

    def __init__(self, host: str, name: str = "") -> None:
        self.host = host
        self.name = name or f"spec/{uuid.uuid4().hex[:12]}"
        self.path = f"/v2/{self.name}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """One request; a ``path`` may also be absolute, or below the repository's."""
        path = path.removeprefix(f"http://{self.host}")
        with Wire(self.host) as wire:
            return wire.ask(method, path if path.startswith("/v2") else f"{self.path}/{path}", body, headers)

    def begin(self, query: str = "") -> str:
        """Start an upload; return where it goes on."""
        answer = self.ask("POST", f"blobs/uploads/{'?' if query else ''}{query}", b"", {"Content-Length": "0"})
        assert answer.status == 202, answer
        return str(answer.headers["Location"])

    def patch(self, location: str, data: bytes, start: int | None = None) -> Answer:
        """One chunk, with its range where ``start`` says where it begins."""
        ranged = {} if start is None else {"Content-Range": f"{start}-{start + len(data) - 1}"}
        return self.ask("PATCH", location, data, {"Content-Type": OCTETS, **ranged})

    def close(self, location: str, digest: str, data: bytes = b"", start: int | None = None) -> Answer:
        """The PUT that ends an upload, with a last chunk where there is one."""
        ranged = {} if start is None else {"Content-Range": f"{start}-{start + len(data) - 1}"}
        return self.ask("PUT", with_query(location, f"digest={digest}"), data, {"Content-Type": OCTETS, **ranged})

    def blob(self, data: bytes, media_type: str = OCTETS, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
        """Push a blob; return its descriptor."""
        found = describe(data, media_type, algorithm, **more)
        answer = self.close(self.begin(), found["digest"], data)
        assert answer.status == 201, answer
        return found

    def image(self, *, layers: int = 1, algorithm: str = "sha256", **more: Any) -> bytes:
        """Push config and layers nobody has; return the manifest, which is not pushed yet."""
        config = json.dumps({"os": "linux", "architecture": "amd64", "author": uuid.uuid4().hex}).encode()
        return image(
            self.blob(config, CONFIG, algorithm),
            [self.blob(os.urandom(128), GZIP, algorithm) for _ in range(layers)],
            **more,
        )

    def artifact(self, artifact_type: str = THING, **more: Any) -> bytes:
        """Push the blobs of an artifact; return its manifest, which is not pushed yet."""
        thing = self.blob(os.urandom(64), "application/vnd.example.data")
        return image(self.blob(b"{}", EMPTY_JSON), [thing], artifactType=artifact_type, **more)

    def put(
        self, manifest: bytes, target: str = "", *, media_type: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """PUT a manifest under a tag, a digest, either with a query, or (the default) its own digest."""
        stated = media_type_of(manifest) if media_type is None else media_type
        content_type = {"Content-Type": stated} if stated else {}
        return self.ask("PUT", f"manifests/{target or digest_of(manifest)}", manifest, {**content_type, **headers})

    def push(self, manifest: bytes, target: str = "", algorithm: str = "sha256") -> dict[str, Any]:
        """PUT a manifest that has to be taken; return its descriptor."""
        found = describe(manifest, media_type_of(manifest), algorithm)
        answer = self.put(manifest, target or found["digest"])
        assert answer.status == 201, answer
        return found

    def tags(self, query: str = "") -> list[str]:
        """The tags that one request gives."""
        answer = self.ask("GET", f"tags/list{query}")
        assert answer.status == 200, answer
        listed = json.loads(answer.body)
        assert listed["name"] == self.name
        assert isinstance(listed["tags"], list)
        return list(listed["tags"])

    def referrers(self, digest: str, query: str = "") -> list[dict[str, Any]]:
        """The referrers that one request gives."""
        answer = self.ask("GET", f"referrers/{digest}{query}")
        assert answer.status == 200, answer
        return list(json.loads(answer.body)["manifests"])


def links(host: str, path: str) -> Sequence[Answer]:
    """Every page from ``path`` on, following ``Link``."""
    pages: list[Answer] = []
    while path:
        with Wire(host) as wire:
            pages.append(wire.ask("GET", path))
        found = re.fullmatch(r'<([^>]*)>; *rel="next"', pages[-1].headers.get("Link", ""))
        path = found[1] if found else ""
    return pages
