"""Uploads that go wrong, content of other repositories, and what a browser could make of an answer."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from images import CONFIG, GZIP, MANIFEST
from repository import OCTETS, Repository, absent, digest_of, image, index, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Hub
    from wire import Answer


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


@pytest.fixture
def other(hub: Hub) -> Repository:
    return Repository(hub.host)


@contextlib.contextmanager
def connected(host: str) -> Iterator[socket.socket]:
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        yield connection


def begin_patch(connection: socket.socket, location: str, length: int) -> None:
    head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Type: {OCTETS}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())


def stands_at(repository: Repository, location: str) -> int:
    """The offset of an upload that does not have exactly one byte: ``0-0`` is said of an empty one too."""
    answer = repository.ask("GET", location)
    assert answer.status == 204, answer
    last = int(answer.headers["Range"].removeprefix("0-"))
    return last + 1 if last else 0


# ---- Chunks


@pytest.mark.parametrize(
    "stated",
    ["0-99", "0-8", "5-3", "0-9/5", "abc", "0-", "-9", "0--9", "0-9,10-19", "1-10", str(2**70) + "-9", "0-9-9"],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_range_that_does_not_fit_its_chunk_is_refused(repository: Repository, method: str, stated: str) -> None:
    """Ten bytes come; the upload stays as it was."""
    data = b"0123456789"
    location = repository.begin()
    target = location if method == "PATCH" else f"{location}?digest={digest_of(data)}"
    answer = repository.ask(method, target, data, {"Content-Range": stated})

    if stated != "0-9/5":  # the total is not ours to judge
        assert answer.status in (400, 416)
        refused(answer, answer.status, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
        assert repository.ask("GET", location).headers["Range"] == "0-0"
        assert repository.close(location, digest_of(data), data, 0).status == 201
    assert repository.ask("GET", f"blobs/{digest_of(data)}").status in (200, 404)


def test_a_chunk_behind_the_end_finds_nothing(repository: Repository) -> None:
    """PATCH after PUT, and PUT twice: the session has ended, and the blob stays what it is."""
    data = os.urandom(1000)
    location = repository.patch(repository.begin(), data).headers["Location"]
    assert repository.close(location, digest_of(data)).status == 201
    refused(repository.patch(location, b"more", len(data)), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(repository.close(location, digest_of(data)), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(repository.close(location, digest_of(data + b"more"), b"more"), 404, "BLOB_UPLOAD_UNKNOWN")

    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


def test_a_session_that_ended_wrong_can_not_be_ended_again(repository: Repository) -> None:
    """Wrong bytes leave nothing: no blob, and no session that goes on with them."""
    location = repository.patch(repository.begin(), b"wrong").headers["Location"]
    refused(repository.close(location, digest_of(b"right")), 400, "DIGEST_INVALID")
    refused(repository.close(location, digest_of(b"wrong")), 404, "BLOB_UPLOAD_UNKNOWN")

    assert repository.ask("HEAD", f"blobs/{digest_of(b'wrong')}").status == 404


def test_of_two_chunks_at_once_one_wins(repository: Repository) -> None:
    """Two clients that both think they go on with the upload; what is there afterwards is what one of them sent."""
    for turn in range(10):
        location = repository.begin()
        first, second = (bytes([turn * 2 + which]) * 300_000 for which in range(2))
        met = threading.Barrier(2)

        def push(data: bytes, location: str = location, met: threading.Barrier = met) -> Answer:
            met.wait(60)
            return repository.patch(location, data, 0)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(push, (first, second)))
        won = [answer.status == 202 for answer in answers]
        for answer in answers:
            if answer.status != 202:
                refused(answer, answer.status, "BLOB_UPLOAD_INVALID")

        assert won.count(True) == 1, [answer.status for answer in answers]
        assert stands_at(repository, location) == 300_000
        data = first if won[0] else second
        assert repository.close(location, digest_of(data)).status == 201


def test_of_two_ends_at_once_one_wins(repository: Repository) -> None:
    for _ in range(10):
        data = os.urandom(50_000)
        location = repository.patch(repository.begin(), data).headers["Location"]
        met = threading.Barrier(2)

        def end(_: int, location: str = location, data: bytes = data, met: threading.Barrier = met) -> Answer:
            met.wait(60)
            return repository.close(location, digest_of(data))

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(end, range(2)))
        for answer in answers:
            if answer.status != 201:
                refused(answer, answer.status, "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID")

        assert 201 in {answer.status for answer in answers}
        assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


def test_an_upload_goes_on_where_a_connection_broke(repository: Repository) -> None:
    """Wherever it says it stands, from there on the rest is enough."""
    data = os.urandom(2_000_000)
    for cut in (2, 70_000, 1_200_000, len(data) - 1):
        location = repository.begin()
        with connected(repository.host) as connection:
            begin_patch(connection, location, len(data))
            connection.sendall(data[:cut])
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass  # until the other side has seen it too
        offset = stands_at(repository, location)
        refused(repository.patch(location, b"x", offset + 1), 416, "BLOB_UPLOAD_INVALID")
        rest = repository.patch(location, data[offset:], offset)

        assert offset == cut
        assert rest.status == 202
        assert repository.close(location, digest_of(data)).status == 201
        assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


def test_who_comes_back_while_the_old_connection_hangs_is_answered_within_a_second(repository: Repository) -> None:
    """A network that went away says nothing: the server still waits, and the client is already back."""
    data = os.urandom(1_000_000)
    location = repository.begin()
    with connected(repository.host) as hanging:
        begin_patch(hanging, location, len(data))
        hanging.sendall(data[:600_000])
        repository.ask("GET", "/v2/")
        began = time.monotonic()
        offset = stands_at(repository, location)
        took = time.monotonic() - began
        rest = repository.patch(location, data[offset:], offset)

        assert rest.status == 202
        assert took < 1
        assert repository.close(location, digest_of(data)).status == 201
        with contextlib.suppress(OSError):
            hanging.sendall(data[600_000:])
    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


@pytest.mark.parametrize("way", ["POST", "PUT"])
def test_a_blob_that_was_cut_short_is_not_there(repository: Repository, way: str) -> None:
    data = os.urandom(100_000)
    target = f"{repository.path}/blobs/uploads/" if way == "POST" else repository.begin()
    head = f"{way} {target}?digest={digest_of(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    with connected(repository.host) as connection:
        connection.sendall(head.encode() + data[:60_000])

    assert repository.ask("HEAD", f"blobs/{digest_of(data)}").status == 404
    assert repository.ask("HEAD", f"blobs/{digest_of(data[:60_000])}").status == 404
    repository.blob(data)
    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


# ---- What belongs to another repository


def same(answer: Answer, digest: str, repository: Repository) -> tuple[Any, ...]:
    """What a client can tell two answers apart by, but for the digest that it asked about itself."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    for name in ("date", "x-request-id", "location", "docker-upload-uuid"):
        headers.pop(name, None)
    body = answer.body.decode().replace(digest, "DIGEST").replace(repository.name, "NAME")
    return answer.status, sorted(headers.items()), re.sub(r"[0-9a-f]{32}", "ID", body)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_of_another_repository_is_as_unknown_as_any(
    repository: Repository, other: Repository, algorithm: str
) -> None:
    """HEAD, GET, mount from elsewhere and a manifest that names it act as for a digest that nobody has."""
    repository.push(repository.image())
    config = repository.blob(b"{}", CONFIG)
    theirs, nobodys = other.blob(os.urandom(64), GZIP, algorithm)["digest"], absent(algorithm)

    def probe(digest: str) -> list[tuple[Any, ...]]:
        manifest = image(config, [{"mediaType": GZIP, "digest": digest, "size": 64}])
        answers = [repository.ask(method, f"blobs/{digest}") for method in ("HEAD", "GET", "DELETE")]
        answers += [repository.ask(method, f"manifests/{digest}") for method in ("HEAD", "GET", "DELETE")]
        answers.append(repository.ask("GET", f"referrers/{digest}"))
        answers.append(repository.put(manifest, "v1"))
        answers.append(repository.ask("POST", f"blobs/uploads/?mount={digest}&from={repository.name}", b""))
        answers.append(repository.ask("POST", f"blobs/uploads/?mount={digest}&from=spec/nobody", b""))
        return [same(answer, digest, repository) for answer in answers]

    assert probe(theirs) == probe(nobodys)
    assert [status for status, *_ in probe(theirs)] == [404] * 6 + [200, 400, 202, 202]
    assert other.ask("HEAD", f"blobs/{theirs}").status == 200


def test_a_manifest_of_another_repository_is_as_unknown_as_any(repository: Repository, other: Repository) -> None:
    repository.push(repository.image())
    theirs = other.push(other.image(), "v1")["digest"]

    for digest in (theirs, absent()):
        refused(repository.ask("GET", f"manifests/{digest}"), 404, "MANIFEST_UNKNOWN")
        refused(repository.ask("DELETE", f"manifests/{digest}"), 404, "MANIFEST_UNKNOWN")
        named = {"mediaType": MANIFEST, "digest": digest, "size": 500}
        refused(repository.put(index([named]), "v1"), 400, "MANIFEST_BLOB_UNKNOWN")
    assert other.ask("HEAD", f"manifests/{theirs}").status == 200


def test_an_upload_can_be_continued_in_its_own_repository_only(repository: Repository, other: Repository) -> None:
    location = repository.patch(repository.begin(), b"abc").headers["Location"]
    moved = location.replace(repository.name, other.name)
    refused(other.ask("GET", moved), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(other.patch(moved, b"def"), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(other.close(moved, digest_of(b"abc")), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(other.ask("DELETE", moved), 404, "BLOB_UPLOAD_UNKNOWN")

    assert repository.close(location, digest_of(b"abc")).status == 201
    assert other.ask("HEAD", f"blobs/{digest_of(b'abc')}").status == 404


# ---- What comes back


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"<svg onload=alert(1)>", b"GIF89a", b"%PDF-1.4"]
)
def test_no_blob_is_a_page_of_ours(repository: Repository, content: bytes) -> None:
    """Whoever can push chooses the bytes: a browser must neither guess their type nor run them."""
    digest = repository.blob(content, "text/html")["digest"]
    for headers in ({}, {"Range": "bytes=0-3"}, {"Accept": "text/html"}):
        answer = repository.ask("GET", f"blobs/{digest}", headers=headers)

        assert answer.headers["Content-Type"] == OCTETS
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_no_refusal_is_a_page_of_ours(repository: Repository) -> None:
    script = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (f"manifests/{script}", f"blobs/{script}", f"/v2/{script}", f"tags/list?n={script}"):
        answer = repository.ask("GET", path)

        assert answer.status in (400, 404)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_was_deleted_is_gone_on_every_worker_and_its_bytes_come_anew(repository: Repository) -> None:
    """No cache may still show it, and a push must not be told that it is there."""
    data = os.urandom(1000)
    for _ in range(5):
        repository.blob(data)
        assert {repository.ask("HEAD", f"blobs/{digest_of(data)}").status for _ in range(8)} == {200}
        assert repository.ask("DELETE", f"blobs/{digest_of(data)}").status == 202
        assert {repository.ask("HEAD", f"blobs/{digest_of(data)}").status for _ in range(8)} == {404}
        assert repository.ask("POST", f"blobs/uploads/?mount={digest_of(data)}", b"").status == 202

    repository.blob(data)
    assert {repository.ask("GET", f"blobs/{digest_of(data)}").body for _ in range(8)} == {data}
