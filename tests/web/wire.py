"""What tests of the hub send and look at: plain requests over connections of their own."""

from __future__ import annotations

import http.client
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import canary

from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from servers import Hub

OWN_HEADERS = {"date", "x-request-id", "server", "connection"}
"""Headers that differ from one answer to the next, or belong to the connection."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        return self.headers[name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error."""
        return self.json["errors"][0]["code"]

    @property
    def lasting(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items() if name.lower() not in OWN_HEADERS}


class Wire:
    """One connection."""

    def __init__(self, hub: Hub | str, timeout: float = 60) -> None:
        self.connection = http.client.HTTPConnection(hub if isinstance(hub, str) else hub.host, timeout=timeout)

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
        **more: str,
    ) -> Answer:
        """Send one request; ``content_range="0-1"`` is the header Content-Range."""
        sent = {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        canary.check_answer(answer.status, answer.headers, answer.body)
        return answer

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> Digest:
        digest = Digest.of(content, algorithm)
        answer = self("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content)
        assert answer.status == 201, answer
        return digest

    def push_image(
        self, name: str, *tags: str, layers: Iterable[bytes] = (b"a layer",), config: bytes = b"{}"
    ) -> Manifest:
        """Push an image and give it the tags; return its manifest."""
        manifest = image(config, layers)
        for content in (config, *layers):
            self.push_blob(name, content)
        for target in tags or (str(manifest.digest),):
            answer = self("PUT", f"/v2/{name}/manifests/{target}", manifest.raw, content_type=manifest.media_type)
            assert answer.status == 201, answer
        return manifest

    def begin(self, name: str, query: str = "") -> str:
        """Start an upload; return where it goes on."""
        answer = self("POST", f"/v2/{name}/blobs/uploads/{query}", headers={"Content-Length": "0"})
        assert answer.status == 202, answer
        return answer["location"] or ""


def image(config: bytes, layers: Iterable[bytes], **more: Any) -> Manifest:
    described = [Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(layer), len(layer)) for layer in layers]
    return make_image(Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config)), described, **more)


def stamped(text: str = "") -> bytes:
    """Content that nobody has pushed yet."""
    return f"{text}{os.urandom(16).hex()}".encode()


def dial(hub: Hub) -> socket.socket:
    """A bare connection."""
    return socket.create_connection(("127.0.0.1", hub.port), timeout=60)


def head_of(peer: socket.socket) -> str:
    """Read up to the end of an answer's headers."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = peer.recv(1)
        assert piece, f"the connection ended after {read!r}"
        read += piece
    return read.decode()
