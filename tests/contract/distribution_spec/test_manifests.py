"""The distribution specification, sections "Push", "Pushing Manifests" and "Pushing Manifests with Subject"."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from images import CONFIG, DOCKER_MANIFEST, GZIP, INDEX, MANIFEST
from repository import Repository, absent, describe, digest_of, image, index, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub
    from wire import Answer

MIB = 1 << 20


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


def named_tags(answer: Answer) -> list[str]:
    """The tags in OCI-Tag: several lines, each a list with commas, mean the same as one."""
    return [tag.strip() for line in answer.headers.get_all("OCI-Tag", []) for tag in line.split(",")]


def padded(manifest: bytes, size: int) -> bytes:
    """The manifest made ``size`` bytes long by an annotation."""
    empty = json.dumps(json.loads(manifest) | {"annotations": {"padding": ""}}).encode()
    return empty.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(empty)) + b'"')


# ---- Push


def test_a_manifest_about_something_that_is_not_there_is_taken(repository: Repository) -> None:
    """Push: a manifest whose subject does not exist MUST be accepted, so that either order works."""
    subject = repository.image()
    referrer = repository.artifact(subject=describe(subject, MANIFEST))
    answer = repository.put(referrer)
    repository.push(subject, "v1")

    assert answer.status == 201
    assert repository.ask("GET", f"manifests/{digest_of(referrer)}").body == referrer
    assert [found["digest"] for found in repository.referrers(digest_of(subject))] == [digest_of(referrer)]


@pytest.mark.parametrize("missing", ["config", "layer", "child", "sha512 layer"])
def test_a_manifest_that_needs_what_is_not_there_is_refused(repository: Repository, missing: str) -> None:
    """Push: a manifest rejected for content that does not exist MUST result in MANIFEST_BLOB_UNKNOWN errors."""
    config, layer = repository.blob(b"{}", CONFIG), repository.blob(os.urandom(50), GZIP)
    lost = {"mediaType": GZIP, "digest": absent("sha512" if "sha512" in missing else "sha256"), "size": 5}
    manifest = {
        "config": image(lost | {"mediaType": CONFIG}, [layer]),
        "child": index([lost | {"mediaType": MANIFEST}]),
    }.get(missing, image(config, [layer, lost]))
    answer = repository.put(manifest, "v1")
    refused(answer, 400, "MANIFEST_BLOB_UNKNOWN")

    assert {error["code"] for error in json.loads(answer.body)["errors"]} == {"MANIFEST_BLOB_UNKNOWN"}
    assert lost["digest"] in answer.body.decode()
    assert repository.ask("HEAD", f"manifests/{digest_of(manifest)}").status == 404
    assert repository.ask("HEAD", "manifests/v1").status == 404


def test_a_sparse_registry_takes_manifests_whose_content_is_elsewhere(start_hub: Callable[..., Hub]) -> None:
    """Push: a registry MAY reject such manifests; with --sparse ours takes them."""
    repository = Repository(start_hub("--sparse", workers=1).host)
    here = repository.image()
    child = repository.push(here)
    lost = {"mediaType": GZIP, "digest": absent(), "size": 5}
    without_layer = image(repository.blob(b"{}", CONFIG), [lost])
    without_child = index([child, {"mediaType": MANIFEST, "digest": absent(), "size": 1024}])
    for manifest, tag in ((without_layer, "image"), (without_child, "index")):
        repository.push(manifest, tag)

        assert repository.ask("GET", f"manifests/{tag}").body == manifest
    assert repository.ask("HEAD", f"blobs/{lost['digest']}").status == 404


def test_layers_that_need_not_be_here_need_not_be_here(repository: Repository) -> None:
    """Push: a registry MAY reject; layers that may not be distributed are never asked for."""
    kinds = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ]
    foreign = [
        {"mediaType": kind, "digest": absent(), "size": 123456, "urls": ["https://store.example.com/layer"]}
        for kind in kinds
    ]
    manifest = image(repository.blob(os.urandom(20), CONFIG), [*foreign, repository.blob(os.urandom(20), GZIP)])
    repository.push(manifest, "windows")

    assert repository.ask("GET", "manifests/windows").body == manifest


# ---- Pushing Manifests


@pytest.mark.parametrize("target", ["tag", "sha256", "sha512"])
def test_a_manifest_is_pushed_with_201_and_a_location(repository: Repository, target: str) -> None:
    """Pushing Manifests: success MUST be 201 with Location, a pullable URL, and MUST name the digest asked for."""
    manifest = repository.image()
    digest = digest_of(manifest, "sha256" if target == "tag" else target)
    answer = repository.put(manifest, "v1" if target == "tag" else digest)
    pulled = repository.ask("GET", answer.headers["Location"])

    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest
    assert (pulled.status, pulled.body, pulled.headers["Content-Type"]) == (200, manifest, MANIFEST)
    assert pulled.headers["Docker-Content-Digest"] == digest
    assert repository.ask("HEAD", f"manifests/{digest}").headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize("form", ["spread out", "one line", "odd escapes", "key order", "trailing space"])
def test_a_manifest_is_kept_byte_for_byte(repository: Repository, form: str) -> None:
    """Pushing Manifests: the registry MUST store the manifest in the exact byte representation."""
    plain = repository.image(annotations={"a": "é"})
    fields = json.loads(plain)
    manifest = {
        "spread out": json.dumps(fields, indent=7).encode(),
        "one line": json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode(),
        "odd escapes": plain.replace(b"application/vnd", b"application\\/vnd"),
        "key order": json.dumps(fields, sort_keys=True).encode(),
        "trailing space": plain + b"\r\n \t",
    }[form]
    assert repository.put(manifest, "v1", media_type=MANIFEST).status == 201

    assert repository.ask("GET", "manifests/v1").body == manifest
    assert repository.ask("GET", f"manifests/{digest_of(manifest)}").body == manifest


@pytest.mark.parametrize("target", ["sha256", "sha512"])
def test_a_manifest_that_is_not_what_its_digest_says_is_refused(repository: Repository, target: str) -> None:
    """Pushing Manifests: the digest returned MUST be the client's; a push under another one can't be."""
    manifest = repository.image()
    asked = digest_of(manifest, target)
    answer = repository.put(manifest + b"  ", asked)
    refused(answer, 400, "DIGEST_INVALID")

    assert repository.ask("HEAD", f"manifests/{asked}").status == 404
    assert repository.ask("HEAD", f"manifests/{digest_of(manifest + b'  ', target)}").status == 404


def test_parameters_of_the_content_type_are_ignored(repository: Repository) -> None:
    """Pushing Manifests: the registry SHOULD ignore parameters on Content-Type."""
    manifest = repository.image()
    answer = repository.put(manifest, "v1", media_type=f"{MANIFEST}; charset=utf-8")

    assert answer.status == 201
    assert repository.ask("GET", "manifests/v1").headers["Content-Type"] == MANIFEST


@pytest.mark.parametrize("sent", [INDEX, "application/json", "text/plain", DOCKER_MANIFEST])
def test_a_manifest_sent_as_something_else_is_refused(repository: Repository, sent: str) -> None:
    """Pushing Manifests: where there is a mediaType, clients MUST set Content-Type to it."""
    manifest = repository.image()
    refused(repository.put(manifest, "v1", media_type=sent), 400, "MANIFEST_INVALID")

    assert repository.ask("HEAD", "manifests/v1").status == 404


def test_a_manifest_without_content_type_is_what_it_says_it_is(repository: Repository) -> None:
    """Pushing Manifests: clients SHOULD set Content-Type; one that does not still can push."""
    manifest = repository.image()
    assert repository.put(manifest, "v1", media_type="").status == 201

    assert repository.ask("GET", "manifests/v1").headers["Content-Type"] == MANIFEST


def test_a_manifest_may_need_no_layers(repository: Repository) -> None:
    """Pushing Manifests: the list of blobs MAY be empty."""
    manifest = repository.image(layers=0)
    repository.push(manifest, "v1")
    empty_index = index([])
    repository.push(empty_index, "nothing")

    assert repository.ask("GET", "manifests/v1").body == manifest
    assert repository.ask("GET", "manifests/nothing").body == empty_index


def test_a_manifest_may_have_four_megabytes(repository: Repository) -> None:
    """Pushing Manifests: pushes of at least 4 megabytes SHOULD be supported."""
    manifest = padded(repository.image(), 4 * MIB)
    repository.push(manifest, "large")
    pulled = repository.ask("GET", "manifests/large")

    assert len(manifest) == 4 * MIB
    assert pulled.body == manifest


@pytest.mark.parametrize("sent", ["with its length", "chunked"])
def test_a_manifest_over_the_limit_is_too_large(repository: Repository, sent: str) -> None:
    """Pushing Manifests: a limit SHOULD be enforced, and over it 413 SHOULD be the answer."""
    manifest = padded(repository.image(), 4 * MIB + 1)
    body = manifest if sent == "with its length" else iter([manifest[:MIB], manifest[MIB:]])
    answer = repository.ask("PUT", "manifests/large", body, {"Content-Type": MANIFEST})
    refused(answer, 413, "SIZE_INVALID", "MANIFEST_INVALID")

    assert repository.ask("HEAD", "manifests/large").status == 404


# ---- Tags as parameters


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_many_tags_are_pushed_with_one_request(repository: Repository, algorithm: str) -> None:
    """Pushing Manifests: at least 10 tags SHOULD be supported; OCI-Tag MUST name each accepted one (main)."""
    manifest = repository.image()
    digest = digest_of(manifest, algorithm)
    tags = [f"1.{number}" for number in range(9)] + ["latest", "_x"]
    answer = repository.put(manifest, f"{digest}?" + "&".join(f"tag={tag}" for tag in tags))

    assert answer.status == 201
    assert sorted(named_tags(answer)) == sorted(tags)
    assert repository.tags() == sorted(tags)
    for tag in tags:
        for method in ("GET", "HEAD"):
            pulled = repository.ask(method, f"manifests/{tag}")

            assert (pulled.status, pulled.headers["Docker-Content-Digest"]) == (200, digest)
            assert pulled.body == (manifest if method == "GET" else b"")


def test_too_many_tags_are_refused_before_anything_happens(repository: Repository) -> None:
    """Pushing Manifests: 414 MAY be the answer to too many tags (main)."""
    manifest = repository.image()
    query = "&".join(f"tag=t{number}" for number in range(3000))
    answer = repository.put(manifest, f"{digest_of(manifest)}?{query}")

    assert answer.status in (201, 414, 431)
    if answer.status == 201:
        assert len(named_tags(answer)) == 3000
    else:
        assert repository.ask("HEAD", f"manifests/{digest_of(manifest)}").status == 404


def test_a_tag_that_is_none_spoils_the_whole_push(repository: Repository) -> None:
    """Pushing Manifests: OCI-Tag MUST name accepted tags (main); all of them or none are."""
    manifest = repository.image()
    refused(repository.put(manifest, f"{digest_of(manifest)}?tag=good&tag=-bad"), 400, "TAG_INVALID")

    assert repository.ask("HEAD", "manifests/good").status == 404
    assert repository.ask("HEAD", f"manifests/{digest_of(manifest)}").status == 404


def test_a_push_without_such_parameters_names_no_tags(repository: Repository) -> None:
    """Pushing Manifests: OCI-Tag names the tags given as parameters (main)."""
    manifest = repository.image()

    assert named_tags(repository.put(manifest)) == []


# ---- Pushing Manifests with Subject


@pytest.mark.parametrize("kind", ["image", "index"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_push_with_a_subject_says_that_it_was_understood(repository: Repository, kind: str, algorithm: str) -> None:
    """Pushing Manifests with Subject: OCI-Subject MUST be the subject's digest."""
    subject = repository.push(repository.image(algorithm=algorithm), algorithm=algorithm)
    if kind == "image":
        manifest = repository.artifact(subject=subject)
    else:
        manifest = index([], artifactType="application/vnd.example.list", subject=subject)
    answers = [repository.put(manifest), repository.put(manifest, "tagged")]

    assert [answer.headers["OCI-Subject"] for answer in answers] == [subject["digest"]] * 2


def test_a_push_without_a_subject_has_no_such_header(repository: Repository) -> None:
    """Pushing Manifests with Subject: OCI-Subject is for manifests with the field."""
    answer = repository.put(repository.image(), "v1")

    assert answer.status == 201
    assert "OCI-Subject" not in answer.headers
