"""Requests that somebody made to break the hub, or that go wrong in ways that broke others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import CONFIG, GZIP, INDEX, MANIFEST
from repository import Repository, absent, describe, digest_of, image, index, refused
from wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Hub

HEX = "0123456789abcdef" * 4
BAD_DIGESTS = {
    "climbing": "sha256:../../../../etc/passwd", "climbing, escaped": "sha256:..%2F..%2F..%2Fetc%2Fpasswd",
    "upper case": f"sha256:{HEX.upper()}", "short": "sha256:abc", "one digit more": f"sha256:{HEX}0",
    "one digit less": f"sha256:{HEX[:-1]}", "sha512 of sha256's length": f"sha512:{HEX}", "md5": "md5:" + HEX[:32],
    "no algorithm": f":{HEX}", "no hex": "sha256:", "no colon": f"sha256{HEX}", "NUL": f"sha256:{HEX[:-3]}%00",
    "newline": f"sha256:{HEX}%0A", "space": f"sha256:{HEX}%20", "other digits": f"sha256:{HEX[:-6]}%D9%A1",
    "two": f"sha256:{HEX}@sha256:{HEX}", "upper algorithm": f"SHA256:{HEX}", "long": "sha256:" + "a" * 5000,
    "star": "sha256:*", "dots": "..", "plus": f"sha256+b64:{HEX}",
}  # fmt: skip
bad_digests = pytest.mark.parametrize("digest", BAD_DIGESTS.values(), ids=BAD_DIGESTS)


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


# ---- Digests


@bad_digests
def test_a_bad_digest_in_a_path_reaches_nothing(repository: Repository, digest: str) -> None:
    repository.push(repository.image(), "v1")
    answers = [repository.ask(method, f"blobs/{digest}") for method in ("GET", "HEAD", "DELETE")]
    answers += [repository.ask(method, f"manifests/{digest}") for method in ("GET", "HEAD", "DELETE")]
    answers.append(repository.ask("GET", f"referrers/{digest}"))
    if ":" in digest:  # without one it is a tag
        answers.append(repository.put(index([]), digest))

    assert [answer.status for answer in answers if answer.status not in (400, 404)] == []
    assert b"root:" not in b"".join(answer.body for answer in answers)
    assert repository.tags() == ["v1"]


@bad_digests
def test_a_bad_digest_in_a_query_reaches_nothing(repository: Repository, digest: str) -> None:
    location = repository.begin()
    answers = [
        repository.ask("POST", f"blobs/uploads/?digest={digest}", b"x"),
        repository.ask("POST", f"blobs/uploads/?mount={digest}", b""),
        repository.ask("POST", f"blobs/uploads/?mount={digest}&from={repository.name}", b""),
        repository.ask("PUT", f"{location}?digest={digest}", b"x"),
    ]

    for answer in answers:
        refused(answer, 400, "DIGEST_INVALID")


@bad_digests
@pytest.mark.parametrize("place", ["config", "layer", "child", "subject"])
def test_a_bad_digest_in_a_manifest_is_refused(repository: Repository, digest: str, place: str) -> None:
    config = repository.blob(b"{}", CONFIG)
    bad = {"mediaType": GZIP, "digest": digest.replace("%00", "\0").replace("%0A", "\n"), "size": 5}
    manifest = {
        "config": image(bad, []),
        "layer": image(config, [bad]),
        "child": index([bad | {"mediaType": MANIFEST}]),
        "subject": image(config, [], subject=bad | {"mediaType": MANIFEST}),
    }[place]

    refused(repository.put(manifest, "v1"), 400, "MANIFEST_INVALID")
    assert repository.ask("HEAD", "manifests/v1").status == 404


# ---- Names


@pytest.mark.parametrize(
    "name",
    ["blobs", "manifests", "uploads", "tags", "referrers", "tags/list", "blobs/uploads", "manifests/latest", "v2",
     "a/manifests/b", "a/blobs/uploads", "a/tags/list", "referrers/a", "blobs/manifests/tags/list", "catalog"],
)  # fmt: skip
def test_a_repository_may_be_called_like_a_part_of_the_protocol(hub: Hub, name: str) -> None:
    """The name is everything before the last verb."""
    repository = Repository(hub.host, name)
    manifest, data = repository.image(), os.urandom(50)
    streamed = repository.patch(repository.begin(), data)
    assert repository.close(streamed.headers["Location"], digest_of(data)).status == 201
    repository.push(manifest, "list")
    repository.push(manifest, "uploads")

    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data
    assert repository.ask("GET", "manifests/list").body == manifest
    assert repository.ask("GET", f"manifests/{digest_of(manifest)}").body == manifest
    assert repository.tags() == ["list", "uploads"]
    assert repository.referrers(digest_of(manifest)) == []
    assert repository.ask("DELETE", "manifests/list").status == 202
    assert repository.ask("DELETE", f"blobs/{digest_of(data)}").status == 202


@pytest.mark.parametrize(
    "path",
    ["/v2/library/../x/manifests/v1", "/v2/library/./x/manifests/v1", "/v2/library%2fx/manifests/v1",
     "/v2/library%2Fx/manifests/v1", "/v2/library/%2e%2e/x/manifests/v1", "/v2/%2e%2e/%2e%2e/etc/passwd",
     "/v2/../../../etc/passwd", "/v2/_x/manifests/v1", "/v2//manifests/v1", "/v2/library//x/manifests/v1",
     "/v2/library/x/manifests/v1/", "/v2/library/x/manifests//v1", "/v2/library/x/manifests/v1%00",
     "/v2/library/x\\y/manifests/v1", "/v2/library/X/manifests/v1", "/v2/library/x%0a/manifests/v1",
     "/v2/library/x;a=b/manifests/v1", "//v2/library/x/manifests/v1", "/V2/library/x/manifests/v1",
     "/v2/library/x/manifests/%2e%2e%2fx", "/v2/library/x/MANIFESTS/v1", "/v2/library/x/manifests/v1%2f"],
)  # fmt: skip
def test_no_detour_leads_to_a_repository(hub: Hub, path: str) -> None:
    """Nothing is unescaped or tidied up before the name is read."""
    x = Repository(hub.host, "library/x")
    manifest = x.image()
    x.push(manifest, "v1")
    answers = [x.ask(method, path) for method in ("GET", "HEAD", "DELETE")]
    answers.append(x.ask("PUT", path, index([]), {"Content-Type": INDEX}))

    assert [answer.status for answer in answers if answer.status not in (400, 404, 405)] == []
    assert b"root:" not in b"".join(answer.body for answer in answers)
    assert x.ask("GET", "manifests/v1").body == manifest


def test_a_name_may_have_255_characters(hub: Hub) -> None:
    longest = Repository(hub.host, f"{os.urandom(4).hex()}/" + "/".join(["x" * 40] * 6))
    longest.name += "x" * (255 - len(longest.name))
    longest.path = f"/v2/{longest.name}"
    manifest = longest.image()
    longest.push(manifest, "v1")
    for length in (256, 4000):
        longer = Repository(hub.host, longest.name + "x" * (length - 255))
        refused(longer.ask("POST", "blobs/uploads/", b""), 400, "NAME_INVALID")
        refused(longer.put(manifest, "v1"), 400, "NAME_INVALID")

    assert longest.ask("GET", "manifests/v1").body == manifest


segments = st.sampled_from(
    ["v2", "blobs", "uploads", "manifests", "tags", "list", "referrers", "_catalog", "..", ".", "", "%2e%2e", "%00",
     "a", "A", f"sha256:{HEX}", "sha256:", "%ff%fe", "latest", "~", "%", "%zz", "a%2fb"]
) | st.text("abAB01._-/%:@+~!$&'()*,;=é".replace("é", ""), max_size=12)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(segments, max_size=8),
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]),
    query=st.sampled_from(["", "?", "?n=1", "?digest=x", "?mount=x&from=y", "?tag=", "?n=&last=%ff", "?&&=&a"]),
)
def test_no_path_breaks_the_hub(hub: Hub, parts: list[str], method: str, query: str) -> None:
    answer = Repository(hub.host, "a").ask(method, "/v2/" + "/".join(parts) + query, b"{}" if method == "PUT" else b"")

    assert answer.status < 500


# ---- Manifests that can be read in two ways


class Parts(NamedTuple):
    """What is in the repository, and a manifest of it that would be taken."""

    config: dict[str, Any]
    layer: dict[str, Any]
    child: dict[str, Any]
    good: bytes

    def image(self, **changes: Any) -> bytes:
        """The good manifest with other fields; a field that is Ellipsis is left out."""
        fields = json.loads(self.good) | changes
        return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()

    def with_layer(self, **changes: Any) -> bytes:
        return self.image(layers=[self.layer | changes])


CONFUSED: dict[str, Callable[[Parts], bytes]] = {
    "layers and manifests": lambda parts: parts.image(manifests=[parts.child]),
    "layers and manifests, as an index": lambda parts: parts.image(manifests=[parts.child], mediaType=INDEX),
    "config and manifests": lambda parts: index([parts.child], config=parts.config),
    "an index called an image": lambda parts: index([parts.child], mediaType=MANIFEST),
    "an image called an index": lambda parts: parts.image(mediaType=INDEX),
    "a config's type": lambda parts: parts.image(mediaType=CONFIG),
    "a key twice": lambda parts: parts.good.replace(b'"layers":', b'"layers": [], "layers":'),
    "a key twice, escaped": lambda parts: parts.good.replace(b'"layers":', b'"l\\u0061yers": [], "layers":'),
    "a digest twice": lambda parts: parts.good.replace(b'"digest":', b'"digest": "x", "digest":'),
    "a byte order mark": lambda parts: b"\xef\xbb\xbf" + parts.good,
    "UTF-16": lambda parts: parts.good.decode().encode("utf-16"),
    "not UTF-8": lambda parts: parts.good.replace(b"config.v1", b"config.\xff1"),
    "half a character": lambda parts: parts.image(annotations={"a": "\ud800"}),
    "more JSON behind it": lambda parts: parts.good + b"{}",
    "NUL behind it": lambda parts: parts.good + b"\0",
    "a comment": lambda parts: parts.good + b"// hello",
    "cut short": lambda parts: parts.good[:-1],
    "empty": lambda _: b"",
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "NaN": lambda parts: parts.good.replace(b'"schemaVersion": 2', b'"schemaVersion": NaN'),
    "no layers": lambda parts: parts.image(layers=...),
    "no config": lambda parts: parts.image(config=...),
    "no schema version": lambda parts: parts.image(schemaVersion=...),
    "schema version 3": lambda parts: parts.image(schemaVersion=3),
    "schema version true": lambda parts: parts.image(schemaVersion=True),
    "schema version as text": lambda parts: parts.image(schemaVersion="2"),
    "layers that are an object": lambda parts: parts.image(layers={}),
    "layers that are null": lambda parts: parts.image(layers=None),
    "a layer that is text": lambda parts: parts.image(layers=["x"]),
    "a negative size": lambda parts: parts.with_layer(size=-1),
    "a size over 2^63": lambda parts: parts.with_layer(size=2**63),
    "a size that is text": lambda parts: parts.with_layer(size="5"),
    "a size that is true": lambda parts: parts.with_layer(size=True),
    "a size with a fraction": lambda parts: parts.with_layer(size=5.5),
    "a layer without type": lambda parts: parts.with_layer(mediaType=""),
    "annotations of numbers": lambda parts: parts.image(annotations={"a": 1}),
    "a subject that is text": lambda parts: parts.image(subject=parts.child["digest"]),
    "a type that is a number": lambda parts: parts.image(mediaType=5),
    "deep": lambda _: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": lambda parts: parts.good[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "four megabytes of brackets": lambda _: b"[" * (4 << 20),
    "a number of a million digits": lambda parts: parts.good[:-1] + b', "x": ' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("case", CONFUSED)
def test_a_manifest_that_can_be_read_in_two_ways_is_refused(repository: Repository, case: str) -> None:
    config, layer = repository.blob(b"{}", CONFIG), repository.blob(b"layer", GZIP)
    parts = Parts(config, layer, repository.push(repository.image()), image(config, [layer]))
    body, began = CONFUSED[case](parts), time.monotonic()
    sent = INDEX if b'"mediaType": "' + INDEX.encode() in body else MANIFEST
    refused(repository.put(body, "v1", media_type=CONFIG if "config's" in case else sent), 400, "MANIFEST_INVALID")

    assert time.monotonic() - began < 5
    assert repository.ask("HEAD", "manifests/v1").status == 404
    assert repository.ask("HEAD", f"manifests/{digest_of(body)}").status == 404


@pytest.mark.parametrize("count", [10_000])
def test_an_index_of_very_many_is_answered_in_little(repository: Repository, count: int) -> None:
    """What is missing is named, and not all of it."""
    children = [{"mediaType": MANIFEST, "digest": absent(), "size": 100} for _ in range(count)]
    answer = repository.put(index(children), "v1")
    refused(answer, 400, "MANIFEST_BLOB_UNKNOWN")
    child = describe(repository.image(), MANIFEST)
    refused(repository.put(index([child] * count), "v1"), 400, "MANIFEST_BLOB_UNKNOWN")

    assert len(answer.body) < 100_000
    assert children[0]["digest"] in answer.body.decode() or "more" in answer.body.decode()


# ---- Numbers


@pytest.mark.parametrize("list_of", ["tags/list", "/v2/_catalog"])
@pytest.mark.parametrize(
    "number",
    [
        "-1", "abc", str(2**63), str(2**64), "9" * 5000, "1e9", "0x10", " 1", "1.0", "%31", "", "+5",
        "\N{ARABIC-INDIC DIGIT ONE}", "--", "1;2",
    ],
)  # fmt: skip
def test_a_number_of_entries_that_is_none_is_refused_or_capped(
    repository: Repository, list_of: str, number: str
) -> None:
    manifest = index([])
    for tag in ("a", "b", "c"):
        repository.push(manifest, tag)
    query = "".join(f"%{byte:02X}" if byte > 127 or byte == 32 else chr(byte) for byte in number.encode())
    answer = repository.ask("GET", f"{list_of}?n={query}")

    assert answer.status in (200, 400)
    assert len(answer.body) < 1_000_000
    if answer.status == 400:
        refused(answer, 400, "UNSUPPORTED")
    elif list_of == "tags/list":
        assert json.loads(answer.body)["tags"] == (["a"] if number == "%31" else ["a", "b", "c"])


# ---- Requests that are no HTTP that anybody sends


GET, PUT = "GET /v2/ HTTP/1.1\r\nHost: x\r\n", "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n"
BROKEN = {
    "negative length": GET + "Content-Length: -1\r\n\r\n",
    "very many headers": GET + "X: y\r\n" * 2000 + "\r\n",
    "a long path": "GET /v2/" + "a" * 200_000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": PUT + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length and chunked": PUT + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is none": PUT + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a huge chunk": PUT + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "cut short": PUT + "Content-Length: 100\r\n\r\n{}",
    "another version": "GET /v2/ HTTP/9.9\r\n\r\n",
    "nothing": "\r\n\r\n\r\n",
    "binary": "\x00\x01\x02\x03\r\n\r\n",
    "half a line": "GET\r\n\r\n",
    "not UTF-8": "GET /v2/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("head", BROKEN.values(), ids=BROKEN)
def test_a_broken_request_breaks_nothing_else(repository: Repository, head: str) -> None:
    with connected(repository.host) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # it may be closed before all was said
            connection.sendall(head.encode("latin-1"))
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]

    assert [status for status in statuses if status >= 500] == []
    with Wire(repository.host) as wire:
        assert wire.ask("GET", "/v2/").status == 200


@pytest.mark.parametrize("asked", ["bytes=" + "0-0," * 2000 + "0-0", "bytes=" + ",".join(f"{n}-" for n in range(500))])
def test_very_many_ranges_send_no_more_than_there_is(repository: Repository, asked: str) -> None:
    digest = repository.blob(os.urandom(1000))["digest"]
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})

    assert answer.status in (200, 206, 400, 416, 431)
    assert len(answer.body) < 200_000
