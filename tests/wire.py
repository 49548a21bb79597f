"""The registry protocol as few lines of http.client, for tests that need exactly this request and no more."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from typing import TYPE_CHECKING, NamedTuple, Self

from images import CONFIG, GZIP, MANIFEST, MANIFESTS, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from images import Layout

PIECE = 1 << 20


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Wire:
    """One connection to one registry."""

    def __init__(self, host: str, *, timeout: float = 120) -> None:
        self._connection = http.client.HTTPConnection(host, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """One request; an iterable body goes out chunked unless the headers have a Content-Length."""
        chunked = body is not None and not isinstance(body, bytes) and "Content-Length" not in headers
        # A server may answer, and hang up, before it has the whole body.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request(method, path, body, dict(headers), encode_chunked=chunked)
        with self._connection.getresponse() as response:
            return Answer(response.status, response.headers, response.read())

    def hash(self, path: str, headers: Mapping[str, str] = {}) -> tuple[int, str, int]:
        """GET without keeping the bytes: status, their sha256 digest, how many they are."""
        self._connection.request("GET", path, headers=dict(headers))
        with self._connection.getresponse() as response:
            hasher, size = hashlib.sha256(), 0
            while piece := response.read(PIECE):
                hasher.update(piece)
                size += len(piece)
            return response.status, f"sha256:{hasher.hexdigest()}", size

    def begin(self, repository: str) -> str:
        """Start an upload; return its location."""
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert answer.status == 202, answer
        return answer.headers["Location"]

    def push_blob(self, repository: str, data: bytes) -> Answer:
        """A whole blob in one PUT, as containerd sends it."""
        return self.ask("PUT", finished(self.begin(repository), sha256(data)), data)

    def push_image(self, repository: str, tag: str, layer: bytes) -> tuple[Answer, list[str]]:
        """Config, one layer and the manifest; return the last answer and the digests of all three."""
        config = json.dumps({"os": "linux", "architecture": "amd64", "layer": sha256(layer)}).encode()
        for data in (config, layer):
            answer = self.push_blob(repository, data)
            assert answer.status == 201, answer
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)},
                "layers": [{"mediaType": GZIP, "digest": sha256(layer), "size": len(layer)}],
            }
        ).encode()
        answer = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})
        return answer, [sha256(config), sha256(layer), sha256(manifest)]


def finished(location: str, digest: str) -> str:
    """Where the PUT goes that ends an upload."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def held(host: str, repository: str, layout: Layout, name: str = "latest", tag: str | None = None) -> dict[str, str]:
    """Everything under the layout's image that the registry gives back byte for byte, as ``Layout.reachable`` has it.

    The tag has to mean the image itself.
    """
    found: dict[str, str] = {}
    with Wire(host) as wire:
        if tag:
            tagged = wire.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": ", ".join(MANIFESTS)})
            assert (tagged.status, tagged.body) == (200, layout.manifest(name)), tagged
        for digest, media_type in layout.reachable(name).items():
            kind = "manifests" if media_type in MANIFESTS else "blobs"
            if wire.hash(f"/v2/{repository}/{kind}/{digest}", {"Accept": media_type})[:2] == (200, digest):
                found[digest] = media_type
    return found
