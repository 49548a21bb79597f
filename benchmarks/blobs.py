"""One blob of a GiB: up in both dialects that clients speak, down alone and eight times at once."""

from __future__ import annotations

import http.client
import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from running import REGISTRIES, Nginx
from samples import Samples, Work, timed, together

if TYPE_CHECKING:
    from pathlib import Path

    from running import Running

PATCH = Work("upload 1 GiB: POST, one chunked PATCH, PUT", note="docker up to 28, podman, skopeo")
PUT = Work("upload 1 GiB: POST, one PUT", note="docker 29, containerd, oras")
SYNC = Work("bring an upload to the disk afterwards, with sync")
DOWN = Work("download 1 GiB, one curl")
EIGHT = Work("download 1 GiB eight times at once, eight curls", note="8 GiB in all")

CHUNK = 32 * 1024
"""Bytes in a chunk of a body of unknown length: what clients written in Go send."""

REPOSITORY = "bench/blob"


def upload(server: Running, blob: Path, digest: str, *, chunked: bool) -> None:
    """Push a blob; fail unless it is acknowledged. The body goes out with sendfile, so that the client costs little."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        location = _ask(connection, f"POST /v2/{REPOSITORY}/blobs/uploads/", server.host, 202)
        if chunked:
            _head(connection, f"PATCH {location}", server.host, "Transfer-Encoding: chunked")
            _chunks(connection, blob)
            location = _answer(connection, 202)
            _ask(connection, f"PUT {_with_digest(location, digest)}", server.host, 201)
        else:
            length = blob.stat().st_size
            _head(connection, f"PUT {_with_digest(location, digest)}", server.host, f"Content-Length: {length}")
            with blob.open("rb") as file:
                connection.sendfile(file)
            _answer(connection, 201)


def _chunks(connection: socket.socket, blob: Path) -> None:
    with blob.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left:
            length = min(CHUNK, left)
            connection.send(b"%x\r\n" % length, socket.MSG_MORE)
            connection.sendfile(file, file.tell(), length)
            connection.send(b"\r\n", socket.MSG_MORE)
            left -= length
    connection.sendall(b"0\r\n\r\n")


def _head(connection: socket.socket, line: str, host: str, length: str) -> None:
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\n{length}\r\n\r\n"
    connection.sendall(head.encode())


def _ask(connection: socket.socket, line: str, host: str, status: int) -> str:
    _head(connection, line, host, "Content-Length: 0")
    return _answer(connection, status)


def _answer(connection: socket.socket, status: int) -> str:
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    if response.status != status:
        raise SystemExit(f"answered {response.status} instead of {status}: {body.decode(errors='replace')}")
    location = urlsplit(response.headers.get("Location", ""))
    return location.path + (f"?{location.query}" if location.query else "")


def _with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest=sha256:{digest}"


def uploads(samples: Samples, rounds: int, work: Path, blob: Path, digest: str) -> None:
    """Each upload meets a fresh registry with an empty folder."""

    def measure(name: str, *, chunked: bool) -> float:
        with REGISTRIES[name](work / name) as server:
            seconds = timed(lambda: upload(server, blob, digest, chunked=chunked))
            start = time.perf_counter()
            os.sync()
            samples.add(SYNC, name, time.perf_counter() - start)
        return seconds

    for dialect, chunked in ((PATCH, True), (PUT, False)):
        samples.alternate(dialect, rounds, REGISTRIES, partial(measure, chunked=chunked))


def downloads(samples: Samples, rounds: int, work: Path, blob: Path, digest: str) -> None:
    """All servers run at once and only one is asked; the bytes are in the page cache, as they were just written."""
    servers = {name: kind(work / name) for name, kind in REGISTRIES.items()}
    try:
        urls = {}
        for name, server in servers.items():
            upload(server, blob, digest, chunked=False)
            urls[name] = f"{server.url}/v2/{REPOSITORY}/blobs/sha256:{digest}"
        servers["nginx"] = nginx = Nginx(work / "nginx", blob.parent)
        urls["nginx sendfile"] = f"{nginx.url}/{blob.name}"

        def measure(name: str, *, count: int) -> float:
            return timed(lambda: together([_curl(urls[name])] * count))

        for name in urls:
            measure(name, count=1)
        samples.alternate(DOWN, rounds, urls, partial(measure, count=1))
        samples.alternate(EIGHT, rounds, urls, partial(measure, count=8))
    finally:
        for server in servers.values():
            server.stop()


def _curl(url: str) -> list[str]:
    return ["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", url]
