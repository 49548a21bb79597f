"""What clients do and what trips registries: the rows of ``docs/reference/protocol.md`` about the hub, each a test.

What the specification itself says is tested in ``test_distribution_spec.py`` and ``distribution_spec/``.
"""

from __future__ import annotations

import contextlib
import email
import os
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import CONFIG, GZIP, MANIFEST
from repository import OCTETS, Repository, absent, digest_of, image, refused, with_query
from wire import Wire

if TYPE_CHECKING:
    from servers import Hub

ROOT = Path(__file__).parent.parent.parent
BLOB = os.urandom(5_000_000)
CHANGING = {"date", "x-request-id", "connection"}


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


def raw(host: str, *sent: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    """Send bytes as they are; return what comes until the end of the first head."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        for data in sent:
            connection.sendall(data)
        found = b""
        while until not in found and (piece := connection.recv(65536)):
            found += piece
        return found


# ---- The two ways to push


def test_a_push_as_docker_28_podman_and_skopeo_do_it(repository: Repository) -> None:
    """POST, one PATCH that streams without Content-Length and Content-Range, an empty PUT."""
    begun = repository.ask("POST", "blobs/uploads/", b"")
    pieces = iter([BLOB[start : start + 100_000] for start in range(0, len(BLOB), 100_000)])
    streamed = repository.ask("PATCH", begun.headers["Location"], pieces)
    closed = repository.ask("PUT", with_query(streamed.headers["Location"], f"digest={digest_of(BLOB)}"), b"")

    assert (begun.status, streamed.status, closed.status) == (202, 202, 201)
    assert streamed.headers["Range"] == f"0-{len(BLOB) - 1}"
    assert repository.ask("GET", closed.headers["Location"]).body == BLOB


def test_a_push_as_docker_29_containerd_and_oras_do_it(repository: Repository) -> None:
    """POST, then one PUT that carries the whole blob."""
    begun = repository.ask("POST", "blobs/uploads/", b"")
    closed = repository.ask("PUT", with_query(begun.headers["Location"], f"digest={digest_of(BLOB)}"), BLOB)

    assert closed.status == 201
    assert repository.ask("GET", closed.headers["Location"]).body == BLOB


# ---- Headers and codes


def test_the_digest_is_on_every_answer_about_content(repository: Repository, hub: Hub) -> None:
    """containerd fails a push whose answers lack it, or have a wrong one."""
    manifest, data, other = repository.image(), os.urandom(10), Repository(hub.host)
    closed = repository.close(repository.begin(), digest_of(data), data)
    pushed = repository.put(manifest, "v1")
    mounted = other.ask("POST", f"blobs/uploads/?mount={digest_of(data)}&from={repository.name}", b"")
    stated = [closed, mounted, *(repository.ask(method, f"blobs/{digest_of(data)}") for method in ("GET", "HEAD"))]
    about = [pushed, *(repository.ask(method, "manifests/v1") for method in ("GET", "HEAD"))]

    assert [answer.headers.get_all("Docker-Content-Digest") for answer in stated] == [[digest_of(data)]] * 4
    assert [answer.headers.get_all("Docker-Content-Digest") for answer in about] == [[digest_of(manifest)]] * 3


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=200), accept=st.sampled_from(["", "gzip", "gzip, br, zstd", "identity", "*"]))
def test_head_has_the_headers_of_get(hub: Hub, data: bytes, accept: str) -> None:
    """docker and caches ask HEAD before GET; nothing is compressed on the way, whatever the client would take."""
    repository = Repository(hub.host, "spec/head-and-get")
    blob = repository.blob(data)
    manifest = image(repository.blob(b"{}", CONFIG), [blob | {"mediaType": GZIP}], annotations={"a": "b" * 3000})
    repository.push(manifest, "v1")
    for path in (f"blobs/{blob['digest']}", "manifests/v1", f"manifests/{digest_of(manifest)}"):
        answers = [repository.ask(method, path, headers={"Accept-Encoding": accept}) for method in ("GET", "HEAD")]
        got, headed = (
            {name.lower(): value for name, value in answer.headers.items() if name.lower() not in CHANGING}
            for answer in answers
        )

        assert got == headed
        assert "content-encoding" not in got
        assert (answers[1].body, headed["content-length"]) == (b"", str(len(answers[0].body)))


@pytest.mark.parametrize(
    "target",
    ["v9", "-v", "x" * 200, absent(), absent("sha512")],
    ids=["absent tag", "no tag", "long", "absent digest", "absent sha512"],
)
def test_head_of_a_manifest_is_200_or_404(repository: Repository, target: str) -> None:
    """Any other status at HEAD ends a push of containerd."""
    repository.push(repository.image(), "v1")

    assert repository.ask("HEAD", f"manifests/{target}").status == 404
    assert repository.ask("HEAD", "manifests/v1").status == 200


@pytest.mark.parametrize(
    "more",
    [
        {}, {"Host": "hub.example.com"}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.b:444"},
        {"Forwarded": "proto=https;host=hub.example.com"},
    ],
)  # fmt: skip
def test_a_location_is_a_path(repository: Repository, more: dict[str, str]) -> None:
    """Behind a proxy another host or scheme in it would make clients drop their credentials."""
    manifest, data = repository.image(), os.urandom(10)
    begun = repository.ask("POST", "blobs/uploads/", b"", more)
    chunk = repository.ask("PATCH", begun.headers["Location"], data, more)
    closed = repository.ask("PUT", f"{chunk.headers['Location']}?digest={digest_of(data)}", b"", more)
    pushed = repository.ask("PUT", "manifests/v1", manifest, {"Content-Type": MANIFEST, **more})
    locations = [answer.headers["Location"] for answer in (begun, chunk, closed, pushed)]

    assert all(location.startswith(f"{repository.path}/") for location in locations), locations


def test_the_digest_may_be_added_to_a_query(repository: Repository) -> None:
    """Clients add digest to the query that the Location has, before or after what they add themselves."""
    for query in ("x=y&digest={}", "digest={}&x=y", "digest={}&digest-algorithm=sha256", "_state=a%2Fb%3D&digest={}"):
        data = os.urandom(10)
        encoded = digest_of(data).replace(":", "%3A")
        answer = repository.ask("PUT", f"{repository.begin()}?{query.format(encoded)}", data)

        assert answer.status == 201
        assert repository.ask("GET", f"blobs/{encoded}").body == data


@pytest.mark.parametrize("path", ["blobs/uploads/", "blobs/uploads"])
def test_an_upload_begins_with_and_without_the_last_slash(repository: Repository, path: str) -> None:
    """Proxies strip it, and a POST that is redirected becomes a GET."""
    answer = repository.ask("POST", path, b"")
    single = repository.ask("POST", f"{path}?digest={digest_of(b'x')}", b"x")

    assert (answer.status, single.status) == (202, 201)
    assert repository.patch(answer.headers["Location"] + "/", b"abc").status == 202


def test_answers_about_an_upload_say_where_it_stands_as_docker_does(repository: Repository) -> None:
    """Range is 0-N without a unit, 0-0 also where nothing came yet; Docker-Upload-UUID names the session."""
    begun = repository.ask("POST", "blobs/uploads/", b"")
    location, session = begun.headers["Location"], begun.headers["Docker-Upload-UUID"]
    answers = [begun, repository.ask("GET", location), repository.patch(location, b"12345")]
    answers.append(repository.ask("GET", location))

    assert [answer.headers["Range"] for answer in answers] == ["0-0", "0-0", "0-4", "0-4"]
    assert {answer.headers["Docker-Upload-UUID"] for answer in answers} == {session}
    assert session in location


# ---- Chunks as clients send them


@pytest.mark.parametrize("form", ["{}-{}", "bytes {}-{}/*", "bytes {}-{}/10", "bytes={}-{}", "{}-{}/*", " {}-{} "])
def test_the_range_of_a_chunk_is_read_leniently(repository: Repository, form: str) -> None:
    """Clients send it with the unit and the total of HTTP's own Content-Range."""
    location = repository.ask("PATCH", repository.begin(), b"01234", {"Content-Range": form.format(0, 4)})
    location = repository.ask(
        "PATCH", location.headers["Location"], b"56789", {"Content-Range": form.format(5, 9)}
    ).headers["Location"]
    again = repository.ask("PATCH", location, b"56789", {"Content-Range": form.format(5, 9)})

    refused(again, 416, "BLOB_UPLOAD_INVALID")
    assert (again.headers["Range"], again.headers["Location"]) == ("0-9", location)
    assert repository.close(location, digest_of(b"0123456789")).status == 201


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/json", "multipart/form-data", "image/png"]
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_type_of_a_chunk_does_not_matter(repository: Repository, method: str, content_type: str | None) -> None:
    """Some clients send another one than octet-stream, or none."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    location, data = repository.begin(), os.urandom(10)
    if method == "PATCH":
        assert repository.ask("PATCH", location, data, headers).status == 202
        closed = repository.ask("PUT", f"{location}?digest={digest_of(data)}", b"", headers)
    else:
        closed = repository.ask("PUT", f"{location}?digest={digest_of(data)}", data, headers)

    assert closed.status == 201
    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data


def test_an_empty_blob_is_pushed_in_every_way(repository: Repository) -> None:
    """A length of zero is not the absence of a body."""
    empty = digest_of(b"")
    single = repository.ask("POST", f"blobs/uploads/?digest={empty}", b"", {"Content-Length": "0"})
    whole = repository.close(repository.begin(), empty)
    streamed = repository.close(repository.ask("PATCH", repository.begin(), iter([])).headers["Location"], empty)

    assert [answer.status for answer in (single, whole, streamed)] == [201] * 3
    assert repository.ask("GET", f"blobs/{empty}").body == b""


# ---- Bodies that are not wanted


@pytest.mark.parametrize("case", ["no such upload", "manifest too large", "bad digest", "out of order"])
def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent(repository: Repository, case: str) -> None:
    """curl, Java and .NET ask with Expect: 100-continue; leave to send is only given to what will be read."""
    location = repository.begin()
    method, path, more = {
        "no such upload": ("PATCH", location + "0", ""),
        "manifest too large": ("PUT", f"{repository.path}/manifests/v1", ""),
        "bad digest": ("PUT", f"{location}?digest=nonsense", ""),
        "out of order": ("PATCH", location, "Content-Range: 5-50000004\r\n"),
    }[case]
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n{more}Expect: 100-continue\r\n\r\n"
    answer = raw(repository.host, head.encode())

    assert re.match(rb"HTTP/1.1 4(00|04|13|16) ", answer), answer
    assert b"100 Continue" not in answer


def test_a_body_that_is_wanted_is_asked_for(repository: Repository) -> None:
    """Expect: 100-continue is answered with leave to send."""
    name, _, port = repository.host.partition(":")
    head = f"PATCH {repository.begin()} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")

        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize("size", [600_000, 100_000_000])
def test_a_refusal_reaches_a_client_that_is_still_sending(repository: Repository, size: int) -> None:
    """Without it clients report a broken pipe and start again from zero."""
    name, _, port = repository.host.partition(":")
    head = f"PUT {repository.begin()}0?digest={absent()} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection((name, int(port)), timeout=60) as connection:

        def send() -> None:
            with contextlib.suppress(OSError):  # the other side had said what there is to say
                connection.sendall(head.encode())
                for _ in range(0, size, 100_000):
                    connection.sendall(b"x" * 100_000)

        sender = threading.Thread(target=send)
        sender.start()
        answer = b""
        while b"]}" not in answer and (piece := connection.recv(65536)):
            answer += piece
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        sender.join(60)

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"BLOB_UPLOAD_UNKNOWN" in answer
    assert size < 1_000_000 or b"connection: close" in answer.lower()


# ---- Ranges of blobs


def test_several_ranges_come_as_parts(repository: Repository) -> None:
    """Lazy pullers ask for many places of a layer at once."""
    data = os.urandom(10_000)
    digest = repository.blob(data)["digest"]
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": "bytes=0-9, 5000-5099,-10"})
    parts = email.message_from_bytes(f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.body)

    assert (answer.status, len(answer.body)) == (206, int(answer.headers["Content-Length"]))
    assert parts.get_content_type() == "multipart/byteranges"
    assert [part["Content-Range"] for part in parts.walk()][1:] == [
        "bytes 0-9/10000", "bytes 5000-5099/10000", "bytes 9990-9999/10000",
    ]  # fmt: skip
    boundary = parts.get_boundary()
    bodies = [piece.partition(b"\r\n\r\n")[2] for piece in answer.body.split(f"\r\n--{boundary}".encode())]
    assert [data[0:10], data[5000:5100], data[9990:]] == [body for body in bodies if body]


def test_a_range_counts_only_for_the_content_it_was_meant_for(repository: Repository) -> None:
    """If-Range has the ETag of an earlier answer: a digest, so it can only be this blob or another."""
    data = os.urandom(100)
    digest = repository.blob(data)["digest"]
    etag = repository.ask("HEAD", f"blobs/{digest}").headers["ETag"]
    same = repository.ask("GET", f"blobs/{digest}", headers={"Range": "bytes=10-19", "If-Range": etag})
    other = repository.ask("GET", f"blobs/{digest}", headers={"Range": "bytes=10-19", "If-Range": f'"{absent()}"'})

    assert etag == f'"{digest}"'
    assert (same.status, same.body) == (206, data[10:20])
    assert (other.status, other.body) == (200, data)


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=a-b", "bytes=", "bytes=1", "bytes 1-2", "-5", "bytes=--5", ""])
def test_what_is_no_range_is_ignored(repository: Repository, asked: str) -> None:
    """RFC 9110, section 14.2: an unknown unit or an invalid ranges specifier."""
    digest = repository.blob(b"0123456789")["digest"]
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})

    assert (answer.status, answer.body) == (200, b"0123456789")


def test_a_range_of_a_large_blob_is_those_bytes(repository: Repository) -> None:
    """A range that starts late in a large file comes from there, and not from the beginning."""
    digest = repository.blob(BLOB)["digest"]
    start, end = 3_333_333, 4_444_444
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": f"bytes={start}-{end}"})

    assert answer.body == BLOB[start : end + 1]


def test_content_that_the_client_has_is_not_sent_again(repository: Repository) -> None:
    """If-None-Match with the ETag, as caches and pollers send it."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    etag = repository.ask("HEAD", "manifests/v1").headers["ETag"]
    same = repository.ask("GET", "manifests/v1", headers={"If-None-Match": etag})
    other = repository.ask("GET", "manifests/v1", headers={"If-None-Match": f'"{absent()}"'})

    assert (same.status, same.body, same.headers["Docker-Content-Digest"]) == (304, b"", digest_of(manifest))
    assert (other.status, other.body) == (200, manifest)


# ---- Every answer


def test_every_answer_says_which_api_this_is(repository: Repository) -> None:
    """Some old clients and proxies look for it, on refusals too."""
    repository.push(repository.image(), "v1")
    answers = [
        repository.ask("GET", path) for path in ("/v2/", "manifests/v1", "manifests/v2", "tags/list", "/v2/_catalog")
    ]

    assert {answer.headers["Docker-Distribution-Api-Version"] for answer in answers} == {"registry/2.0"}


def test_one_connection_serves_request_after_request(repository: Repository) -> None:
    """docker keeps its connections: refusals and uploads in between don't end them."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    data = os.urandom(200_000)
    with Wire(repository.host) as wire:
        wire.ask("GET", "/v2/")
        before = wire._connection.sock
        for _ in range(20):
            assert wire.ask("GET", f"{repository.path}/manifests/v1").body == manifest
            assert wire.ask("GET", f"{repository.path}/manifests/none").status == 404
            assert wire.ask("PATCH", f"{repository.path}/blobs/uploads/none", data).status == 404
            location = wire.ask("POST", f"{repository.path}/blobs/uploads/", b"").headers["Location"]
            assert wire.ask("PUT", f"{location}?digest={digest_of(data)}", data, {"Content-Type": OCTETS}).status == 201
            assert wire.ask("GET", f"{repository.path}/blobs/{digest_of(data)}").body == data

        assert wire._connection.sock is before


# ---- The table


def test_every_test_that_the_table_names_is_there() -> None:
    """``docs/reference/protocol.md`` names a test, or says later, in each row."""
    table = (ROOT / "docs/reference/protocol.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", table))
    there = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"def (test_\w+)", path.read_text())) | {path.stem}
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| area ")]

    assert named - there == set()
    assert len(rows) > 60
    assert [row for row in rows if "`test_" not in row and not row.endswith("| later |")] == []
