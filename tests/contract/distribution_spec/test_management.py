"""The distribution specification, section "Content Management": deleting tags, manifests and blobs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from images import GZIP
from repository import Repository, absent, digest_of, image, index, refused

if TYPE_CHECKING:
    from servers import Hub


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


def test_a_deleted_tag_is_gone_and_its_manifest_stays(repository: Repository) -> None:
    """Deleting tags: success MUST be 202, and a GET of the tag is 404 then."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    repository.push(manifest, "v2")
    answer = repository.ask("DELETE", "manifests/v1")

    assert answer.status == 202
    refused(repository.ask("GET", "manifests/v1"), 404, "MANIFEST_UNKNOWN")
    assert repository.ask("HEAD", "manifests/v1").status == 404
    assert repository.tags() == ["v2"]
    assert repository.ask("GET", "manifests/v2").body == manifest
    assert repository.ask("GET", f"manifests/{digest_of(manifest)}").body == manifest


def test_the_last_tag_takes_no_manifest_with_it(repository: Repository) -> None:
    """Deleting tags: the tag is deleted; the manifest is still there by digest."""
    manifest = repository.image()
    repository.push(manifest, "only")
    assert repository.ask("DELETE", "manifests/only").status == 202

    assert repository.tags() == []
    assert repository.ask("GET", f"manifests/{digest_of(manifest)}").body == manifest


def test_a_tag_that_is_not_there_can_not_be_deleted(repository: Repository) -> None:
    """Deleting tags, Endpoints: 404."""
    repository.push(repository.image(), "v1")
    refused(repository.ask("DELETE", "manifests/v2"), 404, "MANIFEST_UNKNOWN")

    assert repository.tags() == ["v1"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_deleted_manifest_is_gone_with_every_tag_of_it(repository: Repository, algorithm: str) -> None:
    """Deleting Manifests: success MUST be 202; a GET of the digest, and of any tag pointing to it, is 404 then."""
    manifest, other = repository.image(), repository.image()
    digest = digest_of(manifest, algorithm)
    repository.push(manifest, digest + "?tag=v1&tag=v2", algorithm)
    repository.push(other, "v3")
    answer = repository.ask("DELETE", f"manifests/{digest}")

    assert answer.status == 202
    for target in (digest, digest_of(manifest), "v1", "v2"):
        refused(repository.ask("GET", f"manifests/{target}"), 404, "MANIFEST_UNKNOWN")
        assert repository.ask("HEAD", f"manifests/{target}").status == 404
    assert repository.tags() == ["v3"]
    assert repository.ask("GET", "manifests/v3").body == other


def test_a_manifest_that_is_not_there_can_not_be_deleted(repository: Repository) -> None:
    """Deleting Manifests: where the repository does not exist 404 MUST be the answer; for a digest too."""
    refused(repository.ask("DELETE", f"manifests/{absent()}"), 404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")
    refused(repository.ask("DELETE", "manifests/v1"), 404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")
    manifest = repository.image()
    repository.push(manifest)
    assert repository.ask("DELETE", f"manifests/{digest_of(manifest)}").status == 202

    refused(repository.ask("DELETE", f"manifests/{digest_of(manifest)}"), 404, "MANIFEST_UNKNOWN")


def test_a_manifest_that_an_index_needs_is_deleted_after_it(repository: Repository) -> None:
    """Deleting Manifests: a refusal MUST be 400 or 405; ours names what has to go first."""
    child = repository.push(repository.image())
    parent = repository.push(index([child]), "multi")
    message = refused(repository.ask("DELETE", f"manifests/{child['digest']}"), 405, "UNSUPPORTED")
    assert parent["digest"] in message
    assert repository.ask("HEAD", f"manifests/{child['digest']}").status == 200

    assert repository.ask("DELETE", f"manifests/{parent['digest']}").status == 202
    assert repository.ask("DELETE", f"manifests/{child['digest']}").status == 202
    assert repository.ask("HEAD", f"manifests/{child['digest']}").status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_deleted_blob_is_gone(repository: Repository, algorithm: str) -> None:
    """Deleting Blobs: success MUST be 202."""
    digest = repository.blob(os.urandom(100), algorithm=algorithm)["digest"]
    answer = repository.ask("DELETE", f"blobs/{digest}")

    assert answer.status == 202
    refused(repository.ask("GET", f"blobs/{digest}"), 404, "BLOB_UNKNOWN")
    assert repository.ask("HEAD", f"blobs/{digest}").status == 404
    refused(repository.ask("DELETE", f"blobs/{digest}"), 404, "BLOB_UNKNOWN")


def test_a_blob_that_is_not_there_can_not_be_deleted(repository: Repository) -> None:
    """Deleting Blobs: 404 MUST be the answer."""
    refused(repository.ask("DELETE", f"blobs/{absent()}"), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")
    repository.push(repository.image())

    refused(repository.ask("DELETE", f"blobs/{absent()}"), 404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("part", ["config", "layer"])
def test_a_blob_that_a_manifest_needs_is_deleted_after_it(repository: Repository, part: str) -> None:
    """Deleting Blobs: a refusal MUST be 400 or 405; ours names what has to go first."""
    manifest = repository.image()
    fields = json.loads(manifest)
    digest = (fields["config"] if part == "config" else fields["layers"][0])["digest"]
    repository.push(manifest, "v1")
    message = refused(repository.ask("DELETE", f"blobs/{digest}"), 405, "UNSUPPORTED")
    assert digest_of(manifest) in message
    assert repository.ask("HEAD", f"blobs/{digest}").status == 200

    assert repository.ask("DELETE", f"manifests/{digest_of(manifest)}").status == 202
    assert repository.ask("DELETE", f"blobs/{digest}").status == 202
    assert repository.ask("HEAD", f"blobs/{digest}").status == 404


def test_a_blob_is_deleted_from_one_repository_only(repository: Repository, hub: Hub) -> None:
    """Deleting Blobs: name is the namespace that it is deleted from."""
    other, data = Repository(hub.host), os.urandom(100)
    digest = repository.blob(data)["digest"]
    assert other.ask("POST", f"blobs/uploads/?mount={digest}&from={repository.name}", b"").status == 201
    assert repository.ask("DELETE", f"blobs/{digest}").status == 202

    assert repository.ask("HEAD", f"blobs/{digest}").status == 404
    assert other.ask("GET", f"blobs/{digest}").body == data


def test_what_was_deleted_can_be_pushed_again(repository: Repository) -> None:
    """Content Management: clients control the full life-cycle of content."""
    config, data = repository.blob(b"{}"), os.urandom(100)
    manifest = image(config, [repository.blob(data, GZIP)])
    for _ in range(3):
        repository.blob(data)
        repository.push(manifest, "v1")
        assert repository.ask("GET", "manifests/v1").body == manifest
        assert repository.ask("DELETE", f"manifests/{digest_of(manifest)}").status == 202
        assert repository.ask("DELETE", f"blobs/{digest_of(data)}").status == 202

        refused(repository.put(manifest, "v1"), 400, "MANIFEST_BLOB_UNKNOWN")
