"""Lists of tags and repositories, page by page."""

from __future__ import annotations

import re

import pytest
from web.wire import Wire

from dockyard.oci.digest import Digest


@pytest.fixture
def tagged(wire: Wire, name: str) -> str:
    """A repository with tags whose ASCII order differs from the order of pushing, and from one that ignores case."""
    wire.push_image(name, "b", "A", "_1", "a", "B.2", "v10", "v9")
    return name


ORDERED = ["A", "B.2", "_1", "a", "b", "v10", "v9"]


def test_tags_come_in_ascii_order(wire: Wire, tagged: str) -> None:
    answer = wire("GET", f"/v2/{tagged}/tags/list")

    assert answer["content-type"] == "application/json"
    assert answer.json == {"name": tagged, "tags": ORDERED}
    assert answer["link"] is None


def test_pages_follow_their_links_to_the_end(wire: Wire, tagged: str) -> None:
    path, pages = f"/v2/{tagged}/tags/list?n=3", []
    while path:
        answer = wire("GET", path)
        pages.append(answer.json["tags"])
        link = re.fullmatch(r'<(/v2/[^>]+)>; rel="next"', answer["link"] or "")
        path = link[1] if link else ""

    assert pages == [ORDERED[:3], ORDERED[3:6], ORDERED[6:]]


@pytest.mark.parametrize(
    ("query", "tags", "more"),
    [
        ("n=0", [], False),
        ("n=2", ORDERED[:2], True),
        ("n=7", ORDERED, False),
        ("n=8", ORDERED, False),
        ("n=9223372036854775808", ORDERED, False),
        (f"n={'9' * 400}", ORDERED, False),
        ("last=a", ORDERED[4:], False),
        ("last=a&n=1", ["b"], True),
        ("last=aa", ORDERED[4:], False),
        ("last=v9", [], False),
        ("last=%00", ORDERED, False),
        ("n=2&ns=docker.io", ORDERED[:2], True),
    ],
)
def test_a_page_is_cut_where_it_was_asked(wire: Wire, tagged: str, query: str, tags: list[str], more: bool) -> None:
    answer = wire("GET", f"/v2/{tagged}/tags/list?{query}")

    assert (answer.status, answer.json["tags"], answer["link"] is not None) == (200, tags, more)


@pytest.mark.parametrize("n", ["-1", "abc", "", "1.5", "%20", "%D9%A3", "1_0"])
@pytest.mark.parametrize("path", ["{name}/tags/list", "_catalog"])
def test_a_count_that_is_none_is_refused(wire: Wire, tagged: str, path: str, n: str) -> None:
    answer = wire("GET", f"/v2/{path.format(name=tagged)}?n={n}")

    assert (answer.status, answer.code) == (400, "UNSUPPORTED")


def test_a_link_escapes_what_stands_in_a_query(wire: Wire, name: str) -> None:
    wire.push_image(f"{name}-x/y", "a")
    wire.push_image(f"{name}-x/z", "a")

    answer = wire("GET", f"/v2/_catalog?n=1&last={name}-x/")

    assert answer.json == {"repositories": [f"{name}-x/y"]}
    assert answer["link"] == f'</v2/_catalog?n=1&last={f"{name}-x/y".replace("/", "%2F")}>; rel="next"'


def test_the_catalog_has_what_was_pushed_to_and_nothing_that_was_only_begun(wire: Wire, name: str) -> None:
    wire.push_image(f"{name}-full", "a")
    wire.begin(f"{name}-begun")

    names = wire("GET", f"/v2/_catalog?last={name}-&n=10").json["repositories"]

    assert f"{name}-full" in names
    assert f"{name}-begun" not in names
    assert wire("GET", "/v2/_catalog?n=0").json == {"repositories": []}


def test_a_repository_that_lost_its_last_tag_has_an_empty_list(wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "a")
    wire("DELETE", f"/v2/{name}/manifests/{manifest.digest}")

    answer = wire("GET", f"/v2/{name}/tags/list")

    assert (answer.status, answer.json) == (200, {"name": name, "tags": []})


def test_a_digest_that_nobody_knows_has_no_referrers(wire: Wire, name: str) -> None:
    for path in f"{name}/referrers/{Digest.of(b'unknown')}", f"web/absent/referrers/{Digest.of(b'x', 'sha512')}":
        answer = wire("GET", f"/v2/{path}")

        assert (answer.status, answer["content-type"]) == (200, "application/vnd.oci.image.index.v1+json")
        assert answer.json == {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [],
        }


def test_referrers_of_what_is_no_digest_are_refused(wire: Wire, name: str) -> None:
    assert wire("GET", f"/v2/{name}/referrers/latest").code == "DIGEST_INVALID"
