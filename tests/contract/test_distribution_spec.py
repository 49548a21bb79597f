"""The OCI distribution specification at 1.1 and at its main branch: what registries must and should do.

One test for each such sentence; each cites its section, and "main" where the sentence came after 1.1. Pulling, errors
and the endpoints as a whole are here, the other sections in ``distribution_spec/``, and what binds clients in
``test_distribution_spec_client.py``.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from images import MANIFEST
from repository import CODES, LEGACY_CODES, Repository, absent, digest_of, refused

if TYPE_CHECKING:
    from servers import Hub

HERE = Path(__file__).parent
VALID_NAMES = ["a", "tweet-app", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1", "team/app/web", "a/b/c/d/e/f", "x" * 200]
INVALID_NAMES = ["A", "-a", "a-", "a..b", "a___b", ".a", "a._b", "a//b", "a/B", "a/-b", "a+b", "a@b", "_x", "a%20b"]
WHOLE = b"".join(number.to_bytes(2, "big") for number in range(1024))  # 2048 bytes, no two places alike


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


# ---- Pulling manifests


def test_a_manifest_is_pulled_by_tag_and_by_digest_as_it_was_pushed(repository: Repository) -> None:
    """Pulling manifests: GET of an existing manifest MUST provide it, with 200."""
    manifest = b" \n" + repository.image(annotations={"é": "\u2028"}) + b"\n\n"
    repository.push(manifest, "v1")
    answers = [repository.ask("GET", f"manifests/{target}") for target in ("v1", digest_of(manifest))]

    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.body for answer in answers] == [manifest, manifest]
    assert [answer.headers["Content-Length"] for answer in answers] == [str(len(manifest))] * 2


def test_a_pulled_manifest_has_its_digest_in_a_header(repository: Repository) -> None:
    """Pulling manifests: a successful response MUST contain Docker-Content-Digest (main; SHOULD at 1.1)."""
    manifest = repository.image()
    repository.push(manifest, "v1")

    for target in ("v1", digest_of(manifest)):
        assert repository.ask("GET", f"manifests/{target}").headers["Docker-Content-Digest"] == digest_of(manifest)


@pytest.mark.parametrize("kind", ["image", "index", "docker image", "docker list", "without mediaType"])
def test_the_content_type_of_a_manifest_is_the_one_it_was_pushed_with(repository: Repository, kind: str) -> None:
    """Pulling manifests: Content-Type SHOULD match what was pushed, and SHOULD NOT include parameters."""
    docker = "application/vnd.docker.distribution.manifest"
    pushed = {"docker image": f"{docker}.v2+json", "docker list": f"{docker}.list.v2+json"}.get(kind, MANIFEST)
    if kind in ("index", "docker list"):
        pushed = pushed if kind == "docker list" else "application/vnd.oci.image.index.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": pushed, "manifests": []}).encode()
    else:
        fields = json.loads(repository.image()) | {"mediaType": pushed}
        if kind == "without mediaType":
            del fields["mediaType"]
        manifest = json.dumps(fields).encode()
    assert repository.put(manifest, "v1", media_type=pushed).status == 201

    for method in ("GET", "HEAD"):
        for target in ("v1", digest_of(manifest)):
            assert repository.ask(method, f"manifests/{target}").headers.get_all("Content-Type") == [pushed]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["nothing", absent(), absent("sha512")], ids=["tag", "sha256", "sha512"])
def test_a_manifest_that_is_not_there_is_not_found(repository: Repository, method: str, target: str) -> None:
    """Pulling manifests, Checking if content exists: 404 MUST be the answer."""
    repository.push(repository.image(), "v1")
    answer = repository.ask(method, f"manifests/{target}")

    assert answer.status == 404
    if method == "GET":
        refused(answer, 404, "MANIFEST_UNKNOWN")


def test_what_is_neither_tag_nor_digest_names_no_manifest(repository: Repository) -> None:
    """Pulling manifests: the reference MUST be a digest or a tag, and MUST NOT be in any other format."""
    manifest = repository.image()
    repository.push(manifest, "v1")

    for target in (
        "-v1",
        ".v1",
        "v1!",
        "v%201",
        "sha256:baddigeststring",
        "sha256:",
        ":v1",
        "v1@" + digest_of(manifest),
    ):
        refused(repository.put(manifest, target), 400, "TAG_INVALID", "DIGEST_INVALID")
        assert repository.ask("GET", f"manifests/{target}").status in (400, 404)
    assert repository.tags() == ["v1"]


def test_a_tag_has_up_to_128_characters(repository: Repository) -> None:
    """Pulling manifests: a tag MUST be at most 128 characters and MUST match the expression given there."""
    manifest = repository.image()
    longest = "_" + "Aa0._-" * 21 + "x"
    repository.push(manifest, longest)
    refused(repository.put(manifest, longest + "x"), 400, "TAG_INVALID")

    assert len(longest) == 128
    assert repository.ask("GET", f"manifests/{longest}").body == manifest
    assert repository.ask("GET", f"manifests/{longest}x").status in (400, 404)


@pytest.mark.parametrize("name", VALID_NAMES)
def test_every_name_of_the_grammar_can_be_pushed_to_and_pulled_from(hub: Hub, name: str) -> None:
    """Pulling manifests: a name MUST match the expression given there."""
    repository = Repository(hub.host, f"{name}/{os.urandom(4).hex()}")
    manifest = repository.image()
    repository.push(manifest, "v1")

    assert repository.ask("GET", "manifests/v1").body == manifest


@pytest.mark.parametrize("name", INVALID_NAMES)
def test_a_name_outside_of_the_grammar_is_refused_everywhere(hub: Hub, name: str) -> None:
    """Pulling manifests: a name MUST match the expression given there."""
    repository = Repository(hub.host, name)

    assert repository.ask("POST", "blobs/uploads/", b"").status in (400, 404)
    assert repository.put(b"{}", "v1").status in (400, 404)
    for path in ("manifests/v1", f"blobs/{absent()}", "tags/list", f"referrers/{absent()}"):
        assert repository.ask("GET", path).status in (400, 404), path


def test_a_repository_that_does_not_exist_can_not_be_pulled_from(repository: Repository) -> None:
    """Pushing Manifests: an attempt to pull a nonexistent repository MUST return 404."""
    refused(repository.ask("GET", "manifests/v1"), 404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")
    refused(repository.ask("GET", f"manifests/{absent()}"), 404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")
    refused(repository.ask("GET", f"blobs/{absent()}"), 404, "NAME_UNKNOWN", "BLOB_UNKNOWN")

    assert repository.ask("HEAD", "manifests/v1").status == 404
    assert repository.ask("HEAD", f"blobs/{absent()}").status == 404


# ---- Pulling blobs


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", b"{}", b"x", os.urandom(3_000_001)], ids=["empty", "{}", "1 byte", "3 MB"])
def test_a_blob_is_pulled_as_it_was_pushed(repository: Repository, data: bytes, algorithm: str) -> None:
    """Pulling blobs: GET of an existing blob MUST provide it, with 200."""
    pushed = repository.blob(data, algorithm=algorithm)
    answer = repository.ask("GET", f"blobs/{pushed['digest']}")

    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(data)))
    assert answer.body == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_pulled_blob_has_the_digest_of_its_body_in_a_header(repository: Repository, algorithm: str) -> None:
    """Pulling blobs: Docker-Content-Digest MUST be there (main; SHOULD at 1.1) and MUST match the body."""
    pushed = repository.blob(os.urandom(100), algorithm=algorithm)
    answer = repository.ask("GET", f"blobs/{pushed['digest']}")

    assert answer.headers["Docker-Content-Digest"] == pushed["digest"] == digest_of(answer.body, algorithm)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_that_is_not_there_is_not_found(repository: Repository, method: str, algorithm: str) -> None:
    """Pulling blobs, Checking if content exists: 404 MUST be the answer."""
    repository.blob(b"another")
    answer = repository.ask(method, f"blobs/{absent(algorithm)}")

    assert answer.status == 404
    if method == "GET":
        refused(answer, 404, "BLOB_UNKNOWN")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 2048),
        ("bytes=-500", 1548, 2048),
        ("bytes=2000-5000", 2000, 2048),
        ("bytes=0-0", 0, 1),
        ("bytes=2047-", 2047, 2048),
        ("bytes=-1", 2047, 2048),
        ("bytes=-9999", 0, 2048),
        ("bytes=0-2047", 0, 2048),
    ],
)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_range_of_a_blob_is_those_bytes(
    repository: Repository, asked: str, start: int, end: int, algorithm: str
) -> None:
    """Pulling blobs: Range SHOULD be supported, RFC 9110 section 14 (main)."""
    pushed = repository.blob(WHOLE, algorithm=algorithm)
    answer = repository.ask("GET", f"blobs/{pushed['digest']}", headers={"Range": asked})

    assert answer.status == 206
    assert answer.body == WHOLE[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Docker-Content-Digest"] == pushed["digest"]


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=5000-10000", "bytes=500-0", "bytes=-0"])
def test_a_range_outside_of_a_blob_is_not_satisfiable(repository: Repository, asked: str) -> None:
    """Pulling blobs: Range as in RFC 9110, section 15.5.17 (main): 416 with the size."""
    pushed = repository.blob(WHOLE)
    answer = repository.ask("GET", f"blobs/{pushed['digest']}", headers={"Range": asked})

    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */2048"
    assert WHOLE[:100] not in answer.body


def test_a_blob_says_that_ranges_of_it_can_be_asked_for(repository: Repository) -> None:
    """Pulling blobs: Range as in RFC 9110, section 14.3 (main)."""
    pushed = repository.blob(WHOLE)

    for method in ("GET", "HEAD"):
        assert repository.ask(method, f"blobs/{pushed['digest']}").headers["Accept-Ranges"] == "bytes"


# ---- Checking if content exists in the registry


def test_head_of_what_exists_is_200_with_digest_and_size_and_no_body(repository: Repository) -> None:
    """Checking if content exists: 200, Docker-Content-Digest and Content-Length MUST be there (headers: main)."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    for name in ("Docker-Content-Digest", "Content-Length", "Content-Type"):
        for target in ("manifests/v1", f"manifests/{digest_of(manifest)}"):
            got, headed = (repository.ask(method, target) for method in ("GET", "HEAD"))
            assert (headed.status, headed.body) == (200, b"")
            assert headed.headers[name] == got.headers[name]
    for data in (b"", os.urandom(70_000)):
        for algorithm in ("sha256", "sha512"):
            pushed = repository.blob(data, algorithm=algorithm)
            headed = repository.ask("HEAD", f"blobs/{pushed['digest']}")

            assert (headed.status, headed.body) == (200, b"")
            assert headed.headers["Docker-Content-Digest"] == pushed["digest"]
            assert headed.headers["Content-Length"] == str(len(data))


# ---- API


def test_the_base_says_that_this_is_a_registry(hub: Hub) -> None:
    """Determining Support: GET /v2/ is 200."""
    answer = Repository(hub.host).ask("GET", "/v2/")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body) == {}


def test_every_endpoint_of_all_four_categories_answers(repository: Repository) -> None:
    """Requirements: all of Pull MUST be supported; Push, Content Discovery and Content Management SHOULD be."""
    manifest = repository.image()
    found = repository.blob(b"kept")
    target, location = digest_of(manifest), repository.begin()
    requests = [
        ("GET", "/v2/", b"", 200), ("GET", f"blobs/{found['digest']}", b"", 200),
        ("POST", "blobs/uploads/", b"", 202), ("POST", f"blobs/uploads/?digest={digest_of(b'x')}", b"x", 201),
        ("POST", "blobs/uploads/?digest-algorithm=sha512", b"", 202), ("PATCH", location, b"abc", 202),
        ("GET", location, b"", 204), ("PUT", f"{location}?digest={digest_of(b'abc')}", b"", 201),
        ("DELETE", repository.begin(), b"", 204), ("PUT", "manifests/v1", manifest, 201),
        ("PUT", f"manifests/{target}?tag=v2", manifest, 201), ("GET", "manifests/v1", b"", 200),
        ("GET", "tags/list", b"", 200), ("GET", "tags/list?n=1&last=v1", b"", 200),
        ("POST", f"blobs/uploads/?mount={found['digest']}&from={repository.name}", b"", 201),
        ("GET", f"referrers/{target}", b"", 200), ("GET", f"referrers/{target}?artifactType=a/b", b"", 200),
        ("DELETE", "manifests/v1", b"", 202), ("DELETE", f"manifests/{target}", b"", 202),
        ("DELETE", f"blobs/{found['digest']}", b"", 202),
    ]  # fmt: skip
    answers = [repository.ask(method, path, body) for method, path, body, _ in requests]

    assert [answer.status for answer in answers] == [status for *_, status in requests]
    assert not [answer for answer in answers if "Warning" in answer.headers]


def test_every_refusal_is_json_in_the_one_format_with_a_known_code(repository: Repository) -> None:
    """Error Codes: a JSON body MUST have the format; code MUST be upper case and underscores, and one of the list."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    refusals = [
        repository.ask("GET", "manifests/none"), repository.ask("GET", f"blobs/{absent()}"),
        repository.ask("GET", "blobs/sha256:bad"), repository.ask("GET", "referrers/bad"),
        repository.ask("PUT", "manifests/v2", b"{"), repository.ask("GET", "blobs/uploads/nothing"),
        repository.ask("PATCH", "blobs/uploads/nothing", b"x"), repository.ask("DELETE", "manifests/none"),
        repository.ask("GET", "/v2/A/manifests/v1"), repository.ask("GET", "/v2/spec/nobody/tags/list"),
        repository.ask("GET", "tags/list?n=abc"), repository.ask("POST", "manifests/v1", b""),
        repository.ask("PUT", repository.begin(), b""), repository.ask("GET", "/v2/no/such/place"),
        repository.ask("PUT", "tags/list", b""), repository.ask("POST", "blobs/uploads/?digest=md5:00", b""),
    ]  # fmt: skip
    known = CODES | LEGACY_CODES

    assert {answer.status // 100 for answer in refusals} == {4}
    for answer in refusals:
        refused(answer, answer.status, *known)


def test_a_request_scoped_to_another_registry_is_answered_as_any_other(repository: Repository) -> None:
    """Registry Proxying: ns MAY be ignored; only a registry that uses it SHOULD return OCI-Namespace (main)."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    answer = repository.ask("GET", "manifests/v1?ns=docker.io")

    assert (answer.status, answer.body) == (200, manifest)
    assert "OCI-Namespace" not in answer.headers


# ---- These tests


def test_every_test_of_the_specification_cites_its_section() -> None:
    found = 0
    for path in [Path(__file__), HERE / "test_distribution_spec_client.py", *(HERE / "distribution_spec").glob("*.py")]:
        for node in ast.parse(path.read_text()).body if path.exists() else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found += 1
                text = ast.get_docstring(node) or ""
                assert re.match(r"[A-Z][A-Za-z1-9 ,\"-]+: \S", text) or node.name.endswith("cites_its_section"), (
                    f"{path.name}: {node.name}"
                )

    assert found > 60
