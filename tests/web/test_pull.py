"""Getting manifests and blobs."""

from __future__ import annotations

import os
import re

import pytest
from servers import Hub
from web.wire import Answer, Wire, dial, head_of, stamped

from dockyard.oci.digest import Digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def test_a_manifest_comes_back_as_it_was_pushed_by_tag_and_by_digest(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1")

    for target in "v1", str(manifest.digest):
        answer = wire("GET", f"/v2/{name}/manifests/{target}")

        assert answer.status == 200
        assert answer.body == manifest.raw
        assert answer["content-type"] == MANIFEST
        assert answer["content-length"] == str(len(manifest.raw))
        assert answer["docker-content-digest"] == str(manifest.digest)
        assert answer["etag"] == f'"{manifest.digest}"'
        assert answer["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    "accept",
    [
        None, "*/*", "application/json", "application/vnd.docker.distribution.manifest.v1+json", MANIFEST,
        f"text/html;q=0.9, {MANIFEST};q=0.1", f"{MANIFEST}, application/vnd.oci.image.index.v1+json",
    ],
)  # fmt: skip
def test_the_stored_type_is_served_whatever_the_client_accepts(wire: Wire, name: str, accept: str | None) -> None:
    manifest = wire.push_image(name, "v1")

    answer = wire("GET", f"/v2/{name}/manifests/v1", headers={"Accept": accept} if accept else {})

    assert (answer.status, answer["content-type"], answer.body) == (200, MANIFEST, manifest.raw)


def test_head_has_the_headers_of_get_and_no_body(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1", layers=[b"x" * 5000])
    blob = Digest.of(b"x" * 5000)
    paths = ["manifests/v1", f"manifests/{manifest.digest}", f"blobs/{blob}", "manifests/absent", "tags/list"]

    for path in paths:
        get, head = wire("GET", f"/v2/{name}/{path}"), wire("HEAD", f"/v2/{name}/{path}")

        assert head.status == get.status
        assert head.lasting == get.lasting
        assert head.body == b""
        assert head["content-length"] == str(len(get.body))


def test_a_client_that_has_the_content_is_told_so(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1", layers=[b"x" * 5000])
    blob = Digest.of(b"x" * 5000)

    for path, digest in ("manifests/v1", manifest.digest), (f"blobs/{blob}", blob):
        for method in "GET", "HEAD":
            same = wire(method, f"/v2/{name}/{path}", if_none_match=f'"{digest}"')
            other = wire(method, f"/v2/{name}/{path}", if_none_match='"sha256:other"')

            assert (same.status, same.body, same["docker-content-digest"]) == (304, b"", str(digest))
            assert other.status == 200


def test_what_is_not_there_is_404_with_a_code(wire: Wire, name: str) -> None:
    wire.push_image(name, "v1")
    absent = Digest.of(b"absent")
    cases = {
        f"{name}/manifests/absent": "MANIFEST_UNKNOWN",
        f"{name}/manifests/{absent}": "MANIFEST_UNKNOWN",
        f"{name}/manifests/.not-a-tag": "MANIFEST_UNKNOWN",
        f"{name}/blobs/{absent}": "BLOB_UNKNOWN",
        f"{name}/blobs/uploads/{'0' * 32}": "BLOB_UPLOAD_UNKNOWN",
        "web/absent/tags/list": "NAME_UNKNOWN",
    }

    found = {path: wire("GET", f"/v2/{path}") for path in cases}

    assert {path: (answer.status, answer.code) for path, answer in found.items()} == {
        path: (404, code) for path, code in cases.items()
    }


def test_a_blob_is_served_as_bytes_that_no_browser_runs(wire: Wire, name: str) -> None:
    content = b"<script>alert(1)</script>"
    digest = wire.push_blob(name, content)

    answer = wire("GET", f"/v2/{name}/blobs/{digest}")

    assert (answer.status, answer.body) == (200, content)
    assert answer["content-type"] == "application/octet-stream"
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["content-security-policy"] == "sandbox"
    assert answer["docker-content-digest"] == str(digest)
    assert answer["etag"] == f'"{digest}"'
    assert answer["accept-ranges"] == "bytes"
    assert answer["content-encoding"] is None


def test_nothing_is_compressed_for_who_would_take_it(wire: Wire, name: str) -> None:
    content = b"a" * 100_000
    digest = wire.push_blob(name, content)

    answer = wire("GET", f"/v2/{name}/blobs/{digest}", accept_encoding="gzip, br, zstd")

    assert (answer.body, answer["content-encoding"], answer["content-length"]) == (content, None, "100000")


@pytest.fixture(scope="module")
def big(hub: Hub) -> tuple[str, bytes]:
    """Address and content of a blob that takes several pieces."""
    content = os.urandom(3 * 1024 * 1024 + 17)
    with Wire(hub) as wire:
        return f"/v2/web/big/blobs/{wire.push_blob('web/big', content)}", content


SIZE = 3 * 1024 * 1024 + 17


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=500-1499", 500, 1500),
        ("bytes=1048575-1048577", 1048575, 1048578),
        ("bytes=1000000-", 1000000, SIZE),
        ("bytes=-500", SIZE - 500, SIZE),
        ("bytes=0-99999999", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-99999999", 0, SIZE),
    ],
)
def test_a_range_is_these_very_bytes(wire: Wire, big: tuple[str, bytes], header: str, start: int, end: int) -> None:
    path, content = big

    answer = wire("GET", path, range=header)

    assert answer.status == 206
    assert answer.body == content[start:end]
    assert answer["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer["content-length"] == str(end - start)
    assert answer["content-type"] == "application/octet-stream"
    assert answer["docker-content-digest"] == path.rpartition("/")[2]


def test_several_ranges_come_as_parts(wire: Wire, big: tuple[str, bytes]) -> None:
    path, content = big
    ranges = [(0, 10), (1048570, 1048590), (SIZE - 5, SIZE)]

    answer = wire("GET", path, range="bytes=0-9,1048570-1048589,-5")
    boundary = re.fullmatch("multipart/byteranges; boundary=([0-9a-f]+)", answer["content-type"] or "")

    assert answer.status == 206
    assert boundary
    assert answer["content-length"] == str(len(answer.body))
    assert (
        answer.body
        == b"".join(
            f"\r\n--{boundary[1]}\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Range: bytes {start}-{end - 1}/{SIZE}\r\n\r\n".encode()
            + content[start:end]
            for start, end in ranges
        )
        + f"\r\n--{boundary[1]}--\r\n".encode()
    )


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=500-0", "bytes=99999999-999999999", "bytes=-0"])
def test_a_range_outside_is_416_and_says_the_size(wire: Wire, big: tuple[str, bytes], header: str) -> None:
    answer = wire("GET", big[0], range=header)

    assert answer.status == 416
    assert answer["content-range"] == f"bytes */{SIZE}"
    assert answer.json["errors"]


@pytest.mark.parametrize("header", ["bytes=a-b", "lines=1-2", "bytes=0-2000000,1-3000000"])
def test_the_whole_is_sent_where_no_range_can_be(wire: Wire, big: tuple[str, bytes], header: str) -> None:
    answer = wire("GET", big[0], range=header)

    assert (answer.status, answer.body, answer["content-range"]) == (200, big[1], None)


def test_a_range_holds_only_for_the_content_it_is_meant_for(wire: Wire, big: tuple[str, bytes]) -> None:
    path, content = big
    etag = f'"{path.rpartition("/")[2]}"'

    same = wire("GET", path, range="bytes=0-9", if_range=etag)
    other = wire("GET", path, range="bytes=0-9", if_range='"sha256:other"')

    assert (same.status, same.body) == (206, content[:10])
    assert (other.status, other.body) == (200, content)


def test_an_empty_blob_is_whole_in_any_range(wire: Wire, name: str) -> None:
    digest = wire.push_blob(name, b"")

    for headers in {}, {"Range": "bytes=0-"}:
        answer = wire("GET", f"/v2/{name}/blobs/{digest}", headers=headers)

        assert (answer.status, answer.body, answer["content-length"]) == (200, b"", "0")


def test_a_blob_that_its_disk_lost_or_cut_is_an_error_and_never_other_bytes(hub: Hub, wire: Wire, name: str) -> None:
    content = stamped("lost")
    digest = wire.push_blob(name, content)
    [file] = hub.data.glob(f"blobs/sha256/*/{digest.hex}-*")
    answers: list[Answer] = []

    file.write_bytes(content[:-1])
    answers.append(wire("GET", f"/v2/{name}/blobs/{digest}"))
    file.unlink()
    answers.append(wire("GET", f"/v2/{name}/blobs/{digest}"))

    assert [(answer.status, answer.code) for answer in answers] == [(503, "UNAVAILABLE")] * 2


def test_an_answer_that_can_t_be_finished_is_seen_to_end_too_early(hub: Hub, wire: Wire, name: str) -> None:
    content = os.urandom(64 * 1024 * 1024)
    digest = wire.push_blob(name, content)
    [file] = hub.data.glob(f"blobs/sha256/*/{digest.hex}-*")
    with dial(hub) as peer:
        peer.sendall(f"GET /v2/{name}/blobs/{digest} HTTP/1.1\r\nHost: hub\r\nRange: bytes=1-\r\n\r\n".encode())
        head = head_of(peer)
        os.truncate(file, 1024)
        received = 0
        while piece := peer.recv(1024 * 1024):
            received += len(piece)

    assert f"content-length: {len(content) - 1}\r\n" in head
    assert received < len(content) - 1
    assert wire("GET", "/v2/").status == 200


def test_who_hangs_up_in_the_middle_of_a_range_disturbs_nobody(hub: Hub, wire: Wire, big: tuple[str, bytes]) -> None:
    path, content = big
    for _ in range(5):
        with dial(hub) as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nRange: bytes=1-\r\n\r\n".encode())
            head_of(peer)

    answer = wire("GET", path, range="bytes=1-")

    assert answer.body == content[1:]


def test_cookies_are_neither_read_nor_set(wire: Wire, name: str) -> None:
    wire.push_image(name, "v1")

    answer = wire("GET", f"/v2/{name}/manifests/v1", cookie="session=abc")

    assert (answer.status, answer["set-cookie"]) == (200, None)


def test_the_namespace_that_mirrors_are_asked_with_is_ignored(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1")

    assert wire("GET", f"/v2/{name}/manifests/v1?ns=docker.io").body == manifest.raw
