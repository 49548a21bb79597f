"""Paths of the distribution API."""

from __future__ import annotations

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from dockyard.errors import NameInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.web.routing import Kind, Route, blob_path, manifest_path, parse_path, upload_path

VERBS = ["blobs", "manifests", "uploads", "tags", "list", "referrers", "v2"]

awkward = st.lists(st.sampled_from([*VERBS, "a", "b-c"]), min_size=1, max_size=6).map("/".join).map(RepositoryName)
names = strategies.repositories | awkward
sessions = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(names, strategies.tags)
def test_a_manifest_by_tag_is_found_whatever_its_repository_is_called(name: RepositoryName, tag: Tag) -> None:
    assert parse_path(manifest_path(name, tag)) == Route(Kind.MANIFEST, name, tag)


@given(names, strategies.digests())
def test_blobs_manifests_and_referrers_are_found_by_digest(name: RepositoryName, digest: Digest) -> None:
    assert parse_path(manifest_path(name, digest)) == Route(Kind.MANIFEST, name, str(digest))
    assert parse_path(blob_path(name, digest)) == Route(Kind.BLOB, name, str(digest))
    assert parse_path(f"/v2/{name}/referrers/{digest}") == Route(Kind.REFERRERS, name, str(digest))


@given(names, sessions)
def test_uploads_are_found_with_and_without_the_last_slash(name: RepositoryName, session: str) -> None:
    for slash in "", "/":
        assert parse_path(f"/v2/{name}/blobs/uploads{slash}") == Route(Kind.UPLOADS, name)
        assert parse_path(upload_path(name, session) + slash) == Route(Kind.UPLOAD, name, session)


@given(names)
def test_tags_are_listed_whatever_the_repository_is_called(name: RepositoryName) -> None:
    assert parse_path(f"/v2/{name}/tags/list") == Route(Kind.TAGS, name)


@given(st.lists(st.sampled_from([*VERBS, "", ".", "..", "%2f", "%2e%2e", "a", "A", "sha256:x", "\0"]), max_size=8))
def test_any_path_has_one_meaning_and_a_valid_name_or_none(parts: list[str]) -> None:
    path = "/v2/" + "/".join(parts)

    try:
        route = parse_path(path)
    except NameInvalid:
        return
    if route is None or route.kind in (Kind.BASE, Kind.CATALOG):
        return
    built = {
        Kind.TAGS: f"/v2/{route.repository}/tags/list",
        Kind.MANIFEST: manifest_path(route.repository, route.rest),
        Kind.BLOB: blob_path(route.repository, route.rest),
        Kind.REFERRERS: f"/v2/{route.repository}/referrers/{route.rest}",
        Kind.UPLOADS: f"/v2/{route.repository}/blobs/uploads",
        Kind.UPLOAD: upload_path(route.repository, route.rest),
    }[route.kind]

    assert path in (built, f"{built}/")
    assert not {"", ".", "..", "%2f", "%2e%2e", "A"} & set(route.repository.split("/"))


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/", Route(Kind.BASE)),
        ("/v2", Route(Kind.BASE)),
        ("/v2/_catalog", Route(Kind.CATALOG)),
        ("/v2/blobs/blobs/uploads/", Route(Kind.UPLOADS, RepositoryName("blobs"))),
        ("/v2/tags/list/tags/list", Route(Kind.TAGS, RepositoryName("tags/list"))),
        ("/v2/a/blobs/uploads/manifests/x", Route(Kind.MANIFEST, RepositoryName("a/blobs/uploads"), "x")),
        ("/v2/a/blobs/uploads/tags/list", Route(Kind.TAGS, RepositoryName("a/blobs/uploads"))),
        ("/v2/a/manifests/list", Route(Kind.MANIFEST, RepositoryName("a"), "list")),
        ("/v2/a/blobs/uploads/blobs", Route(Kind.UPLOAD, RepositoryName("a"), "blobs")),
        ("/v2/a/blobs/sha256%3Aabc", Route(Kind.BLOB, RepositoryName("a"), "sha256:abc")),
    ],
)
def test_the_name_goes_up_to_the_last_verb(path: str, route: Route) -> None:
    assert parse_path(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1/", "/v2/a", "/v2/a/", "/v2//", "/v2/tags/list", "/v2/blobs/uploads/", "/v2/manifests/x",
        "/v2/a/tags/list/", "/v2/a/manifests/", "/v2/a/manifests/x/", "/v2/a/manifests/x/y", "/v2/a/tags",
        "/v2/_catalog/", "/v2/a/blobs/uploads//", "/v2/a%2fmanifests%2fx", "/V2/a/tags/list",
    ],
)  # fmt: skip
def test_nothing_lives_at_other_paths(path: str) -> None:
    assert parse_path(path) is None


@pytest.mark.parametrize(
    "name",
    [
        "..", "a/../b", "a/./b", "library/%2e%2e/x", "a%2fb", "A", "a//b", "_x", "a_", "-a", "a..b", "a:b", "ä", "a b",
        "a" * 256,
    ],
)  # fmt: skip
def test_what_is_no_repositorys_name_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_path(f"/v2/{name}/tags/list")
