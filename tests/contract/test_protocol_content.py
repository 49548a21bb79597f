"""What clients do and what trips registries, about manifests, lists and names; see ``test_protocol.py``."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import TYPE_CHECKING

import pytest
from images import CONFIG, DOCKER_INDEX, DOCKER_MANIFEST, FOREIGN, INDEX, MANIFEST
from repository import Repository, absent, describe, digest_of, image, index, links, refused

if TYPE_CHECKING:
    from servers import Hub


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


# ---- Manifests


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", "application/*", DOCKER_MANIFEST, "application/vnd.docker.distribution.manifest.v1+prettyjws",
        f"{DOCKER_INDEX}, {MANIFEST};q=0.5, {INDEX}", "application/json", f"{MANIFEST};q=0", "text/html", ",,;q=",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["image", "index"])
def test_the_stored_manifest_is_sent_whatever_the_client_accepts(
    repository: Repository, accept: str | None, kind: str
) -> None:
    """Nothing is ever converted: other bytes would be another digest."""
    manifest = repository.image() if kind == "image" else index([])
    repository.push(manifest, "v1")
    answer = repository.ask("GET", "manifests/v1", headers={} if accept is None else {"Accept": accept})

    assert (answer.status, answer.body) == (200, manifest)
    assert answer.headers["Content-Type"] == (MANIFEST if kind == "image" else INDEX)


@pytest.mark.parametrize("signed", ["v1+json", "v1+prettyjws"])
def test_schema_1_is_refused_and_told_what_to_do(repository: Repository, signed: str) -> None:
    manifest = json.dumps({"schemaVersion": 1, "name": repository.name, "tag": "v1", "fsLayers": [], "history": []})
    answer = repository.put(
        manifest.encode(), "v1", media_type=f"application/vnd.docker.distribution.manifest.{signed}"
    )

    assert "schema 1" in refused(answer, 400, "MANIFEST_INVALID")


def test_an_index_is_taken_once_its_images_are_here(repository: Repository) -> None:
    """Some tools push the index first; a referrer may come before what it is about."""
    child = repository.image()
    multi = index([describe(child, MANIFEST)])
    refused(repository.put(multi, "v1"), 400, "MANIFEST_BLOB_UNKNOWN")
    repository.push(child)
    repository.push(multi, "v1")

    assert repository.ask("GET", "manifests/v1").body == multi


def test_urls_in_a_manifest_are_never_fetched(repository: Repository) -> None:
    """A server that fetched them would reach what its clients can't."""
    with socket.create_server(("127.0.0.1", 0)) as bait:
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/layer"
        layer = {"mediaType": FOREIGN, "digest": absent(), "size": 10, "urls": [url]}
        manifest = image(repository.blob(b"{}", CONFIG), [layer])
        repository.push(manifest, "v1")
        assert repository.ask("GET", "manifests/v1").body == manifest
        assert repository.ask("GET", f"blobs/{layer['digest']}").status == 404
        bait.setblocking(False)

        with pytest.raises(BlockingIOError):
            bait.accept()


def test_a_tag_that_looks_like_a_list_of_referrers_is_a_tag(repository: Repository) -> None:
    """Clients of registries without the list keep it in such tags, and cosign keeps signatures in others."""
    manifest = repository.image()
    repository.push(manifest, "v1")
    name = digest_of(manifest).replace(":", "-")
    for tag in (name, f"{name}.sig", f"{name}.att", f"{name}.sbom"):
        repository.push(index([]), tag)

        assert repository.ask("GET", f"manifests/{tag}").body == index([])
    assert repository.referrers(digest_of(manifest)) == []


def test_a_type_with_a_plus_filters_referrers_escaped_or_not(repository: Repository) -> None:
    """In a query a plus means a space, and yet clients send media types as they are."""
    subject = repository.push(repository.image())
    wanted = repository.push(repository.artifact("application/spdx+json", subject=subject))
    repository.push(repository.artifact("application/other", subject=subject))

    for form in ("application/spdx+json", "application%2Fspdx%2Bjson"):
        found = repository.referrers(subject["digest"], f"?artifactType={form}")
        assert [one["digest"] for one in found] == [wanted["digest"]]


# ---- Lists


def test_a_page_behind_the_last_is_an_empty_list(repository: Repository) -> None:
    """Some registries answer null there, and clients fall over it."""
    repository.push(repository.image(), "v1")
    answer = repository.ask("GET", "tags/list?n=10&last=v1")

    assert json.loads(answer.body) == {"name": repository.name, "tags": []}
    assert "Link" not in answer.headers


def test_a_link_is_a_path_with_an_escaped_query(repository: Repository) -> None:
    for tag in ("a.b-c_d", "b"):
        repository.push(index([]), tag)
    answer = repository.ask("GET", "tags/list?n=1")

    assert re.fullmatch(rf"<{repository.path}/tags/list\?[!-;=?-~]+>; rel=\"next\"", answer.headers["Link"])
    assert "last=a.b-c_d" in answer.headers["Link"]


def test_the_catalog_has_every_repository_that_was_pushed_to(hub: Hub) -> None:
    """Not in the specification, and still asked for by user interfaces and by podman search."""
    prefix = f"catalog-{os.urandom(4).hex()}"
    names = [f"{prefix}/{name}" for name in ("a", "a-b", "a/b", "b", "c.d/e")]
    for name in names:
        Repository(hub.host, name).push(index([]), "v1")
    Repository(hub.host, f"{prefix}/only-begun").begin()
    pages = links(hub.host, f"/v2/_catalog?n=2&last={prefix}")
    listed = [name for page in pages for name in json.loads(page.body)["repositories"]]

    assert [name for name in listed if name.startswith(f"{prefix}/")] == sorted(names)
    assert all(len(json.loads(page.body)["repositories"]) == 2 for page in pages[:-1])
    assert listed == sorted(listed)


def test_no_repositories_are_listed_where_none_were_asked_for(repository: Repository) -> None:
    repository.push(index([]), "v1")
    answer = repository.ask("GET", "/v2/_catalog?n=0")

    assert (answer.status, json.loads(answer.body)) == (200, {"repositories": []})
    assert "Link" not in answer.headers


# ---- Names of content


@pytest.mark.parametrize("pushed", ["sha256", "sha512"])
def test_content_has_both_of_its_names_and_is_kept_once(repository: Repository, hub: Hub, pushed: str) -> None:
    """What was pushed as sha512 is known as sha256 too; the same bytes pushed as both are one file."""
    data = os.urandom(3000)
    repository.blob(data, algorithm=pushed)
    assert repository.ask("GET", f"blobs/{digest_of(data)}").body == data
    for algorithm in ("sha512", "sha256"):
        repository.blob(data, algorithm=algorithm)
        answer = repository.ask("GET", f"blobs/{digest_of(data, algorithm)}")

        assert (answer.body, answer.headers["Docker-Content-Digest"]) == (data, digest_of(data, algorithm))
    files = [path for path in (hub.data / "blobs").rglob("*") if path.is_file() and path.stat().st_size == 3000]
    assert [path.read_bytes() for path in files].count(data) == 1


def test_a_manifest_is_found_by_either_of_its_names(repository: Repository) -> None:
    manifest = repository.image()
    repository.push(manifest, algorithm="sha512")

    for algorithm in ("sha256", "sha512"):
        digest = digest_of(manifest, algorithm)
        answer = repository.ask("GET", f"manifests/{digest}")
        assert (answer.body, answer.headers["Docker-Content-Digest"]) == (manifest, digest)


@pytest.mark.parametrize("name", ["tweet-app", "library/ubuntu", "sixeyed/tweet-app", "team/app/web"])
def test_names_are_taken_as_they_are(hub: Hub, name: str) -> None:
    """Adding docker.io and library/ is what clients do to names, for docker.io alone."""
    repository = Repository(hub.host, name)
    manifest = repository.image()
    repository.push(manifest, "latest")

    assert repository.ask("GET", "manifests/latest").body == manifest
    assert repository.tags() == ["latest"]
