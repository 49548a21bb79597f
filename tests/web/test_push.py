"""Pushing blobs and manifests, in every dialect."""

from __future__ import annotations

import os

import pytest
from web.wire import Wire, image, stamped

from dockyard.oci import strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, make_index

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def pulled(wire: Wire, location: str | None) -> bytes:
    assert location
    assert location.startswith("/v2/")
    return wire("GET", location).body


def test_post_starts_a_session_and_says_where_it_goes_on(wire: Wire, name: str) -> None:
    for slash in "/", "":
        answer = wire("POST", f"/v2/{name}/blobs/uploads{slash}", headers={"Content-Length": "0"})
        session = answer["docker-upload-uuid"]

        assert answer.status == 202
        assert session
        assert answer["location"] == f"/v2/{name}/blobs/uploads/{session}"
        assert answer["range"] == "0-0"
        assert answer["content-length"] == "0"


def test_docker_streams_without_a_length_and_ends_with_an_empty_put(wire: Wire, name: str) -> None:
    content = os.urandom(3_000_000)
    digest = Digest.of(content)
    location = wire.begin(name)

    pieces = iter([content[:10], content[10:2_000_000], content[2_000_000:]])
    patched = wire("PATCH", location, pieces)  # in chunks, as its length is not known
    put = wire("PUT", f"{patched['location']}?digest={digest}", headers={"Content-Length": "0"})

    assert (patched.status, patched["range"]) == (202, f"0-{len(content) - 1}")
    assert patched["docker-upload-uuid"] == location.rpartition("/")[2]
    assert (put.status, put["docker-content-digest"]) == (201, str(digest))
    assert put["location"] == f"/v2/{name}/blobs/{digest}"
    assert pulled(wire, put["location"]) == content


def test_containerd_sends_the_whole_blob_in_one_put(wire: Wire, name: str) -> None:
    content = os.urandom(2_500_000)

    put = wire("PUT", f"{wire.begin(name)}?digest={Digest.of(content)}", content)

    assert (put.status, put["docker-content-digest"]) == (201, str(Digest.of(content)))
    assert pulled(wire, put["location"]) == content


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_fits_into_one_post(wire: Wire, name: str, algorithm: str) -> None:
    content = stamped("post")
    digest = Digest.of(content, algorithm)

    answer = wire("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content)

    assert (answer.status, answer["docker-content-digest"]) == (201, str(digest))
    assert answer["location"] == f"/v2/{name}/blobs/{digest}"
    assert pulled(wire, answer["location"]) == content


@pytest.mark.parametrize("last_in_put", [False, True])
@pytest.mark.parametrize("spelling", ["{}-{}", "bytes {}-{}", "bytes={}-{}", "{}-{}/*"])
def test_chunks_come_with_their_ranges(wire: Wire, name: str, last_in_put: bool, spelling: str) -> None:
    content = os.urandom(30_000)
    location, parts = wire.begin(name), [(0, 10_000), (10_000, 20_000), (20_000, 30_000)]
    query = f"?digest={Digest.of(content)}"
    for start, end in parts[:2] if last_in_put else parts:
        written = spelling.format(start, end - 1)
        answer = wire("PATCH", location, content[start:end], content_range=written)

        assert (answer.status, answer["range"], answer["location"]) == (202, f"0-{end - 1}", location)
        standing = wire("GET", location)
        assert (standing.status, standing["range"], standing["location"]) == (204, f"0-{end - 1}", location)
        assert standing["docker-upload-uuid"] == location.rpartition("/")[2]

    if last_in_put:
        put = wire("PUT", location + query, content[20_000:], content_range=spelling.format(20_000, 29_999))
    else:
        put = wire("PUT", location + query, headers={"Content-Length": "0"})

    assert put.status == 201
    assert pulled(wire, put["location"]) == content


@pytest.mark.parametrize(("start", "end"), [(5, 10), (20, 30), (0, 10)])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_that_belongs_elsewhere_is_416_and_says_where_the_upload_stands(
    wire: Wire, name: str, method: str, start: int, end: int
) -> None:
    content = os.urandom(30)
    location = wire.begin(name)
    wire("PATCH", location, content[:10])
    query = f"?digest={Digest.of(content)}" if method == "PUT" else ""

    refused = wire(method, location + query, content[start:end], content_range=f"{start}-{end - 1}")
    finished = wire("PUT", f"{location}?digest={Digest.of(content)}", content[10:], content_range="10-29")

    assert (refused.status, refused.code) == (416, "BLOB_UPLOAD_INVALID")
    assert (refused["range"], refused["location"]) == ("0-9", location)
    assert refused["docker-upload-uuid"] == location.rpartition("/")[2]
    assert finished.status == 201


def test_a_chunk_whose_range_and_length_differ_is_refused_and_changes_nothing(wire: Wire, name: str) -> None:
    location = wire.begin(name)

    refused = wire("PATCH", location, b"12345", content_range="0-9")
    garbled = wire("PATCH", location, b"12345", content_range="five")
    accepted = wire("PATCH", location, b"12345", content_range="0-4")

    assert (refused.status, refused.code) == (400, "SIZE_INVALID")
    assert (garbled.status, garbled.code) == (400, "BLOB_UPLOAD_INVALID")
    assert (accepted.status, accepted["range"]) == (202, "0-4")


def test_the_type_of_a_chunk_does_not_matter(wire: Wire, name: str) -> None:
    location = wire.begin(name)
    for index, kind in enumerate(["text/plain", "application/json", ""]):
        assert wire("PATCH", location, b"x", content_type=kind)["range"] == f"0-{index}"


def test_an_upload_is_cancelled(wire: Wire, name: str) -> None:
    location = wire.begin(name)
    wire("PATCH", location, b"x" * 100)

    cancelled = wire("DELETE", location)

    assert (cancelled.status, cancelled.body) == (204, b"")
    for method in "GET", "PATCH", "DELETE":
        assert wire(method, location).code == "BLOB_UPLOAD_UNKNOWN"


def test_an_upload_of_one_repository_is_unknown_to_another(wire: Wire, name: str) -> None:
    location = wire.begin(name)

    assert wire("GET", location.replace(name, f"{name}-other")).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize("dialect", ["post", "put", "patch"])
def test_wrong_bytes_leave_nothing(wire: Wire, name: str, dialect: str) -> None:
    content, digest = stamped("right"), Digest.of(stamped("wrong"))
    if dialect == "post":
        answer = wire("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content)
    elif dialect == "put":
        answer = wire("PUT", f"{wire.begin(name)}?digest={digest}", content)
    else:
        location = wire.begin(name)
        wire("PATCH", location, content)
        answer = wire("PUT", f"{location}?digest={digest}", headers={"Content-Length": "0"})

    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    for wanted in digest, Digest.of(content):
        assert wire("HEAD", f"/v2/{name}/blobs/{wanted}").status == 404


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:xyz",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:" + "A" * 64,
        "sha256:../../x",
        "%00",
    ],
)
def test_what_is_no_digest_is_refused_everywhere(wire: Wire, name: str, text: str) -> None:
    location = wire.begin(name)
    answers = [
        wire("PUT", f"{location}?digest={text}", b"x"),
        wire("POST", f"/v2/{name}/blobs/uploads/?digest={text}", b"x"),
        wire("POST", f"/v2/{name}/blobs/uploads/?mount={text}", headers={"Content-Length": "0"}),
        wire("POST", f"/v2/{name}/blobs/uploads/?digest-algorithm=md5", headers={"Content-Length": "0"}),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(400, "DIGEST_INVALID")] * 4
    assert wire("PUT", location, b"x").code == "DIGEST_INVALID"


def test_the_digest_algorithm_is_named_at_the_start(wire: Wire, name: str) -> None:
    content = stamped()
    digest = Digest.of(content, "sha512")
    location = wire.begin(name, "?digest-algorithm=sha512")
    wire("PATCH", location, content)

    put = wire("PUT", f"{location}?digest={digest}", headers={"Content-Length": "0"})

    assert (put.status, put["docker-content-digest"]) == (201, str(digest))
    for known in digest, Digest.of(content):
        assert wire("GET", f"/v2/{name}/blobs/{known}")["docker-content-digest"] == str(known)


def test_a_blob_is_mounted_from_a_named_repository_and_from_any(wire: Wire, name: str) -> None:
    content = stamped("mounted")
    digest = wire.push_blob(f"{name}-from", content)
    for target, query in (f"{name}-a", f"&from={name}-from"), (f"{name}-b", ""):
        answer = wire("POST", f"/v2/{target}/blobs/uploads/?mount={digest}{query}", headers={"Content-Length": "0"})

        assert (answer.status, answer["docker-content-digest"]) == (201, str(digest))
        assert answer["location"] == f"/v2/{target}/blobs/{digest}"
        assert pulled(wire, answer["location"]) == content


@pytest.mark.parametrize("origin", ["&from=web/absent", "&from=NOT-A-NAME", ""])
def test_what_can_t_be_mounted_is_uploaded(wire: Wire, name: str, origin: str) -> None:
    content = stamped("absent")
    digest = Digest.of(content)

    answer = wire("POST", f"/v2/{name}/blobs/uploads/?mount={digest}{origin}", headers={"Content-Length": "0"})

    assert (answer.status, answer["range"]) == (202, "0-0")
    assert wire("PUT", f"{answer['location']}?digest={digest}", content).status == 201


def test_a_blob_of_another_repository_is_as_unknown_as_any(wire: Wire, name: str) -> None:
    digest = wire.push_blob(f"{name}-private", stamped())
    wire.push_image(name, "v1")

    known, unknown = (wire("GET", f"/v2/{name}/blobs/{wanted}") for wanted in (digest, Digest.of(b"nobody has this")))

    assert (known.status, known.code) == (unknown.status, unknown.code) == (404, "BLOB_UNKNOWN")


def test_a_manifest_is_pushed_by_tag_and_by_digest(wire: Wire, name: str) -> None:
    config = stamped()
    manifest = image(config, [])
    wire.push_blob(name, config)

    for target in "v1", str(manifest.digest):
        answer = wire("PUT", f"/v2/{name}/manifests/{target}", manifest.raw, content_type=MANIFEST)

        assert (answer.status, answer.body) == (201, b"")
        assert answer["docker-content-digest"] == str(manifest.digest)
        assert answer["location"] == f"/v2/{name}/manifests/{manifest.digest}"
        assert answer["oci-subject"] is None
        assert answer["oci-tag"] is None
        assert pulled(wire, answer["location"]) == manifest.raw


def test_one_put_gives_many_tags(wire: Wire, name: str) -> None:
    config = stamped()
    manifest = image(config, [])
    wire.push_blob(name, config)

    path = f"/v2/{name}/manifests/{manifest.digest}?tag=one&tag=two&tag=one"
    answer = wire("PUT", path, manifest.raw, content_type=MANIFEST)

    assert answer.headers.get_all("oci-tag") == ["one", "two"]
    for tag in "one", "two":
        assert wire("GET", f"/v2/{name}/manifests/{tag}").body == manifest.raw


def test_a_bad_tag_among_many_gives_none(wire: Wire, name: str) -> None:
    config = stamped()
    manifest = image(config, [])
    wire.push_blob(name, config)

    answer = wire("PUT", f"/v2/{name}/manifests/{manifest.digest}?tag=good&tag=-bad", manifest.raw)

    assert (answer.status, answer.code) == (400, "TAG_INVALID")
    assert wire("GET", f"/v2/{name}/manifests/good").status == 404


def test_a_manifest_under_a_digest_that_is_not_its_own_is_refused(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1")
    for target in Digest.of(b"other"), "sha256:baddigeststring":
        answer = wire("PUT", f"/v2/{name}/manifests/{target}", manifest.raw, content_type=MANIFEST)

        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_a_manifest_whose_blobs_are_not_here_is_refused_by_their_digests(wire: Wire, name: str) -> None:
    manifest = image(stamped(), [stamped()])

    answer = wire("PUT", f"/v2/{name}/manifests/v1", manifest.raw, content_type=MANIFEST)

    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert set(answer.json["errors"][0]["detail"]) == {str(blob.digest) for blob in manifest.blobs}


def test_a_subject_is_said_back_and_lists_its_referrers(wire: Wire, name: str) -> None:
    subject = wire.push_image(name, "v1")
    fields = image(b"{}", [b"a layer"]).fields | {"subject": subject.descriptor.fields(), "artifactType": "a/b"}
    raw = strict_json.dump(fields)

    answer = wire("PUT", f"/v2/{name}/manifests/{Digest.of(raw)}", raw, content_type=MANIFEST)
    listed = wire("GET", f"/v2/{name}/referrers/{subject.digest}")
    filtered = wire("GET", f"/v2/{name}/referrers/{subject.digest}?artifactType=c/d")

    assert answer["oci-subject"] == str(subject.digest)
    assert listed["content-type"] == "application/vnd.oci.image.index.v1+json"
    assert listed["oci-filters-applied"] is None
    assert [entry["digest"] for entry in listed.json["manifests"]] == [str(Digest.of(raw))]
    assert (filtered["oci-filters-applied"], filtered.json["manifests"]) == ("artifactType", [])


def test_a_manifest_of_exactly_the_limit_passes_and_one_byte_more_is_413(wire: Wire, name: str) -> None:
    config = stamped()
    wire.push_blob(name, config)
    rest = MAX_MANIFEST - len(image(config, [], annotations={"fill": "."}).raw)
    full = image(config, [], annotations={"fill": "." + "." * rest})

    passed = wire("PUT", f"/v2/{name}/manifests/full", full.raw, content_type=MANIFEST)
    refused = wire("PUT", f"/v2/{name}/manifests/over", full.raw + b" ", content_type=MANIFEST)
    streamed = wire("PUT", f"/v2/{name}/manifests/over", iter([full.raw, b" "]), content_type=MANIFEST)

    assert (len(full.raw), passed.status) == (MAX_MANIFEST, 201)
    assert [(answer.status, answer.code) for answer in (refused, streamed)] == [(413, "SIZE_INVALID")] * 2
    assert wire("GET", f"/v2/{name}/manifests/full").body == full.raw


def test_deleting_a_tag_keeps_the_manifest_and_deleting_the_manifest_takes_its_tags(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "one", "two")

    untagged = wire("DELETE", f"/v2/{name}/manifests/one")
    assert (untagged.status, untagged.body) == (202, b"")
    assert wire("GET", f"/v2/{name}/manifests/one").status == 404
    assert wire("GET", f"/v2/{name}/manifests/two").status == 200

    deleted = wire("DELETE", f"/v2/{name}/manifests/{manifest.digest}")
    assert deleted.status == 202
    for target in "two", str(manifest.digest):
        assert wire("GET", f"/v2/{name}/manifests/{target}").status == 404
    assert wire("DELETE", f"/v2/{name}/manifests/{manifest.digest}").code == "MANIFEST_UNKNOWN"


def test_what_is_still_needed_is_not_deleted_until_its_parents_are_gone(wire: Wire, name: str) -> None:
    child = wire.push_image(name, layers=[stamped("needed")])
    layer = child.layers[0].digest
    index = make_index([Descriptor(child.media_type, child.digest, len(child.raw))])
    wire("PUT", f"/v2/{name}/manifests/all", index.raw, content_type=index.media_type)
    paths = [f"/v2/{name}/manifests/{child.digest}", f"/v2/{name}/blobs/{layer}"]

    refused = [wire("DELETE", path) for path in paths]
    parents_first = [wire("DELETE", path).status for path in (f"/v2/{name}/manifests/{index.digest}", *paths)]

    assert [(answer.status, answer.code) for answer in refused] == [(405, "UNSUPPORTED")] * 2
    assert str(index.digest) in refused[0].json["errors"][0]["message"]
    assert str(child.digest) in refused[1].json["errors"][0]["message"]
    assert refused[1]["allow"] == "GET, HEAD"
    assert parents_first == [202, 202, 202]


def test_many_requests_share_one_connection(wire: Wire, name: str) -> None:
    wire.push_image(name, "v1")
    peers = {wire.connection.sock.getsockname()}
    for method, path, body in [
        ("GET", "manifests/v1", None), ("HEAD", "manifests/absent", None), ("PUT", "manifests/v1", b"no manifest"),
        ("POST", "blobs/uploads/?digest=bad", b"x" * 1000), ("DELETE", "manifests/absent", None),
        ("GET", "nothing", None),
    ]:  # fmt: skip
        wire(method, f"/v2/{name}/{path}", body)
        peers.add(wire.connection.sock.getsockname())

    assert len(peers) == 1
