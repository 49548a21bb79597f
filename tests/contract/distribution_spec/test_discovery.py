"""The distribution specification, sections "Listing Tags" and "Listing Referrers"."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from images import CONFIG, EMPTY_JSON, INDEX, MANIFEST
from repository import Repository, absent, describe, digest_of, image, index, links, refused

if TYPE_CHECKING:
    from servers import Hub

SBOM, SIGNATURE = "application/vnd.example.sbom.v1", "application/vnd.example.signature.v1"
TAGS = sorted(
    ["A", "B", "Z", "_", "_a", "a", "a-b", "a.b", "a_b", "aB", "ab", "b", "v1", "v1.0", "v10", "v2", "0", "9"]
)


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


@pytest.fixture
def tagged(repository: Repository) -> Repository:
    """A repository with :data:`TAGS`, pushed in no order."""
    manifest = repository.image()
    for tag in random.Random(7).sample(TAGS, len(TAGS)):
        repository.push(manifest, tag)
    return repository


# ---- Listing Tags


def test_the_tags_of_a_repository_are_listed(tagged: Repository) -> None:
    """Listing Tags: 200 and this JSON body MUST be the answer."""
    answer = tagged.ask("GET", "tags/list")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(answer.body) == {"name": tagged.name, "tags": TAGS}
    assert "Link" not in answer.headers


def test_tags_are_in_ascii_order(tagged: Repository) -> None:
    """Listing Tags: tags MUST be in lexical or ASCIIbetical order, with n and with last too."""
    assert tagged.tags() == TAGS
    assert tagged.tags("?n=5") == TAGS[:5]
    assert tagged.tags("?n=5&last=_") == [tag for tag in TAGS if tag > "_"][:5]


def test_a_repository_may_have_no_tags(repository: Repository) -> None:
    """Listing Tags: 200 MUST be the answer for a repository that is there; its list MAY be empty."""
    repository.push(repository.image())
    answer = repository.ask("GET", "tags/list")

    assert answer.status == 200
    assert json.loads(answer.body) == {"name": repository.name, "tags": []}


def test_the_tags_of_no_repository_are_not_found(repository: Repository) -> None:
    """Listing Tags, Endpoints: 404 for a repository that is not there."""
    refused(repository.ask("GET", "tags/list"), 404, "NAME_UNKNOWN")


@pytest.mark.parametrize("number", [1, 2, 5, len(TAGS) - 1])
def test_as_many_tags_are_listed_as_were_asked_for(tagged: Repository, number: int) -> None:
    """Listing Tags: the response MUST include n results where there are as many; Link MUST be rel="next"."""
    pages = links(tagged.host, f"{tagged.path}/tags/list?n={number}")
    listed = [json.loads(page.body)["tags"] for page in pages]

    assert [len(tags) for tags in listed[:-1]] == [number] * (len(listed) - 1)
    assert [tag for tags in listed for tag in tags] == TAGS
    assert all('; rel="next"' in page.headers["Link"] for page in pages[:-1])
    assert listed[-1], "the last page was empty: its Link promised more"


@pytest.mark.parametrize("number", [len(TAGS), len(TAGS) + 1, 1000])
def test_the_last_tags_are_followed_by_no_link(tagged: Repository, number: int) -> None:
    """Listing Tags: fewer than n only where there are fewer; Link is for when more are available."""
    answer = tagged.ask("GET", f"tags/list?n={number}")

    assert json.loads(answer.body)["tags"] == TAGS
    assert "Link" not in answer.headers


def test_a_link_keeps_what_was_asked(tagged: Repository) -> None:
    """Listing Tags: Link MUST be set as in RFC 5988: a target that gives the next page."""
    target = tagged.ask("GET", "tags/list?n=3").headers["Link"].partition(">")[0].removeprefix("<")
    query = parse_qs(urlsplit(target).query)

    assert (query["n"], query["last"]) == (["3"], [TAGS[2]])


def test_no_tags_are_listed_where_none_were_asked_for(tagged: Repository) -> None:
    """Listing Tags: with n=0 the list MUST be empty and Link MUST NOT be there."""
    for query in ("?n=0", "?n=0&last=a"):
        answer = tagged.ask("GET", f"tags/list{query}")

        assert (answer.status, json.loads(answer.body)["tags"]) == (200, [])
        assert "Link" not in answer.headers


@pytest.mark.parametrize("last", ["0", "Z", "a", "a-b", "aa", "zzz", "1"])
def test_tags_after_a_tag_begin_behind_it(tagged: Repository, last: str) -> None:
    """Listing Tags: last is a tag, not a number, and not part of the results; n is OPTIONAL with it."""
    after = [tag for tag in TAGS if tag > last]

    assert tagged.tags(f"?last={last}") == after
    assert tagged.tags(f"?n=2&last={last}") == after[:2]


# ---- Listing Referrers


def with_referrers(repository: Repository, subject: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Push a referrer of every kind; return the descriptors that have to be listed, by kind."""
    kept = {"org.example.format": "json", "org.example.note": "é <&> \u2028"}
    config = repository.blob(os.urandom(16), "application/vnd.example.config")
    raw = {
        "typed": repository.artifact(SBOM, subject=subject, annotations=kept),
        "other type": repository.artifact(SIGNATURE, subject=subject, annotations={"n": "2"}),
        "by config": image(config, [], subject=subject),
        "empty type": image(config, [], artifactType="", subject=subject, annotations={"n": "4"}),
        "index": index([], subject=subject, annotations={"n": "5"}),
        "typed index": index([], artifactType=SBOM, subject=subject),
    }
    types = {"by config": config["mediaType"], "empty type": config["mediaType"], "index": None}
    expected: dict[str, dict[str, Any]] = {}
    for kind, manifest in raw.items():
        fields = json.loads(manifest)
        repository.push(manifest)
        expected[kind] = describe(manifest, fields["mediaType"])
        if stated := types.get(kind, fields.get("artifactType")):
            expected[kind]["artifactType"] = stated
        if notes := fields.get("annotations"):
            expected[kind]["annotations"] = notes
    return expected


def without_empty(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted, and no annotations is the same as empty ones."""
    plain = [{key: value for key, value in one.items() if value != {}} for one in found]
    return sorted(plain, key=lambda one: str(one["digest"]))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_referrers_are_listed_with_their_type_and_annotations(repository: Repository, algorithm: str) -> None:
    """Listing Referrers: artifactType MUST be the manifest's, else its config's; of an index without one it MUST
    be omitted; annotations MUST be included.
    """
    subject = repository.push(repository.image(algorithm=algorithm), algorithm=algorithm)
    expected = with_referrers(repository, subject)

    assert without_empty(repository.referrers(subject["digest"])) == without_empty(list(expected.values()))


def test_referrers_are_an_image_index(repository: Repository) -> None:
    """Listing Referrers: the body MUST be an image index, with its Content-Type."""
    subject = repository.push(repository.image())
    repository.push(repository.artifact(SBOM, subject=subject))
    answer = repository.ask("GET", f"referrers/{subject['digest']}")
    body = json.loads(answer.body)

    assert answer.headers["Content-Type"] == INDEX
    assert (body["schemaVersion"], body["mediaType"], len(body["manifests"])) == (2, INDEX, 1)


@pytest.mark.parametrize("where", ["no referrers", "no such manifest", "no such repository"])
@pytest.mark.parametrize("query", ["", f"?artifactType={SBOM}"])
def test_what_has_no_referrers_has_an_empty_list(repository: Repository, where: str, query: str) -> None:
    """Listing Referrers: 404 MUST NOT be the answer; with no match an empty list MUST be returned."""
    digest = absent()
    if where != "no such repository":
        pushed = repository.push(repository.image(), "v1")
        digest = pushed["digest"] if where == "no referrers" else digest
    answer = repository.ask("GET", f"referrers/{digest}{query}")

    assert (answer.status, answer.headers["Content-Type"]) == (200, INDEX)
    assert json.loads(answer.body) == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}


@pytest.mark.parametrize("digest", ["sha256:bad", "nothing", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_referrers_of_what_is_no_digest_are_refused(repository: Repository, digest: str) -> None:
    """Listing Referrers: an invalid request, such as a digest of invalid syntax, MUST be 400."""
    repository.push(repository.image())
    refused(repository.ask("GET", f"referrers/{digest}"), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("wanted", [SBOM, SIGNATURE, "application/vnd.example.config", "nobody/has-this"])
def test_referrers_are_filtered_by_type(repository: Repository, wanted: str) -> None:
    """Listing Referrers: filtering SHOULD be supported, and OCI-Filters-Applied MUST say that it was done."""
    subject = repository.push(repository.image())
    expected = [one for one in with_referrers(repository, subject).values() if one.get("artifactType") == wanted]
    query = f"?artifactType={wanted.replace('/', '%2F')}"
    answer = repository.ask("GET", f"referrers/{subject['digest']}{query}")

    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert without_empty(json.loads(answer.body)["manifests"]) == without_empty(expected)


def test_without_a_filter_none_is_said_to_be_applied(repository: Repository) -> None:
    """Listing Referrers: OCI-Filters-Applied denotes that a filter was applied."""
    subject = repository.push(repository.image())

    assert "OCI-Filters-Applied" not in repository.ask("GET", f"referrers/{subject['digest']}").headers


def test_referrers_are_those_of_the_same_repository(repository: Repository, hub: Hub) -> None:
    """Listing Referrers: each descriptor is of a manifest in the same name."""
    other = Repository(hub.host)
    subject = repository.push(repository.image())
    other.push(other.artifact(SBOM, subject=subject))

    assert repository.referrers(subject["digest"]) == []
    assert len(other.referrers(subject["digest"])) == 1


def test_many_referrers_are_all_listed(repository: Repository) -> None:
    """Listing Referrers: Link MUST be there when the list cannot be returned in a single manifest."""
    subject = repository.push(repository.image())
    config, pushed = repository.blob(b"{}", EMPTY_JSON), set()
    for number in range(120):
        notes = {"number": str(number), "text": "x" * 100}
        pushed.add(repository.push(image(config, [], subject=subject, annotations=notes))["digest"])
    pages = links(repository.host, f"{repository.path}/referrers/{subject['digest']}")
    listed = [one["digest"] for page in pages for one in json.loads(page.body)["manifests"]]

    assert len(listed) == 120
    assert set(listed) == pushed
    assert all(len(page.body) <= 4 << 20 for page in pages)


def test_a_list_of_referrers_that_is_too_long_goes_on_elsewhere(repository: Repository) -> None:
    """Listing Referrers: Link MUST be there when the list cannot be returned in a single manifest: 4 MiB is a limit."""
    subject = repository.push(repository.image())
    config, notes = repository.blob(b"{}", EMPTY_JSON), {"text": "x" * 1_000_000}
    pushed = {
        repository.push(image(config, [], subject=subject, annotations=notes | {"number": str(number)}))["digest"]
        for number in range(6)
    }
    pages = links(repository.host, f"{repository.path}/referrers/{subject['digest']}")
    listed = [one["digest"] for page in pages for one in json.loads(page.body)["manifests"]]

    assert sorted(listed) == sorted(pushed)
    assert all(len(page.body) <= 4 << 20 for page in pages)


def test_a_deleted_referrer_is_no_longer_listed(repository: Repository) -> None:
    """Listing Referrers: each descriptor is of a manifest that is there."""
    subject = repository.push(repository.image())
    kept, gone = (repository.artifact(SBOM, subject=subject) for _ in range(2))
    repository.push(kept)
    repository.push(gone)
    assert repository.ask("DELETE", f"manifests/{digest_of(gone)}").status == 202

    assert [one["digest"] for one in repository.referrers(subject["digest"])] == [digest_of(kept)]


def test_referrers_outlive_what_they_are_about(repository: Repository) -> None:
    """Enabling the Referrers API: all newly pushed manifests with a valid subject MUST be included."""
    subject = repository.push(repository.image())
    referrer = repository.push(repository.artifact(SBOM, subject=subject))
    assert repository.ask("DELETE", f"manifests/{subject['digest']}").status == 202

    assert [one["digest"] for one in repository.referrers(subject["digest"])] == [referrer["digest"]]
    assert repository.ask("HEAD", f"manifests/{referrer['digest']}").status == 200


def test_a_subject_of_another_kind_is_only_a_descriptor(repository: Repository) -> None:
    """Listing Referrers: subject names a digest; what it is does not matter, and it may be the blob of a config."""
    subject = repository.blob(os.urandom(8), CONFIG)
    referrer = repository.push(repository.artifact(SBOM, subject=subject | {"mediaType": MANIFEST}))

    assert [one["digest"] for one in repository.referrers(subject["digest"])] == [referrer["digest"]]
