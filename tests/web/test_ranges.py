"""Range, If-Range, If-None-Match and Content-Range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.errors import BlobUploadInvalid, OutOfRange
from dockyard.web.ranges import etag_known, if_range_holds, parse_content_range, parse_range, upload_range

ETAG = '"sha256:abc"'


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("bytes=0-9", [(0, 10)]),
        ("bytes=5-", [(5, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("bytes=90-500", [(90, 100)]),
        ("Bytes = 0-0", [(0, 1)]),
        ("bytes=0-0, 50-59 ,-1", [(0, 1), (50, 60), (99, 100)]),
        ("bytes=0-1,200-300", [(0, 2)]),
        ("bytes=0-60,40-99", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1-2-3", None),
        ("bytes=٣-٤", None),
        ("items=0-1", None),
        ("0-1", None),
        ("", None),
        ("bytes=" + ",".join(["0-0"] * 1025), None),
        (f"bytes={'9' * 30}-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_says(header: str, ranges: list[tuple[int, int]] | None) -> None:
    assert parse_range(header, 100) == ranges


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=50-0", "bytes=-0", "bytes=200-,300-"])
def test_a_range_outside_of_the_content_is_refused(header: str) -> None:
    with pytest.raises(OutOfRange):
        parse_range(header, 100)


def test_an_empty_content_is_sent_whole() -> None:
    assert parse_range("bytes=0-", 0) is None
    assert parse_range("bytes=-1", 0) is None


@given(st.text("bytes=0123456789-, ", max_size=40), st.integers(0, 1000))
def test_no_range_leaves_the_content_or_sends_more_than_it(header: str, size: int) -> None:
    try:
        ranges = parse_range(header, size)
    except OutOfRange:
        return

    assert all(0 <= start < end <= size for start, end in ranges or [])
    assert sum(end - start for start, end in ranges or []) <= size


def test_a_range_counts_only_for_the_content_it_was_meant_for() -> None:
    assert if_range_holds(None, ETAG)
    assert if_range_holds(ETAG, ETAG)
    assert not if_range_holds('"sha256:def"', ETAG)
    assert not if_range_holds(f"W/{ETAG}", ETAG)
    assert not if_range_holds("Tue, 15 Nov 1994 12:45:26 GMT", ETAG)


def test_a_client_that_knows_the_content_says_so_by_any_of_several_tags() -> None:
    assert etag_known(ETAG, ETAG)
    assert etag_known(f'"x", W/{ETAG}', ETAG)
    assert etag_known("*", ETAG)
    assert not etag_known('"x"', ETAG)


@pytest.mark.parametrize("header", ["10-19", "bytes 10-19", "bytes=10-19", "10-19/100", "bytes 10-19/*", " 10-19 "])
def test_the_range_of_a_chunk_is_read_in_every_clients_spelling(header: str) -> None:
    assert parse_content_range(header) == (10, 20)


@pytest.mark.parametrize("header", ["", "10", "-5", "10-", "19-10", "a-b", "items 1-2", "1-2,3-4", "9" * 30 + "-1"])
def test_what_is_no_range_of_a_chunk_is_refused(header: str) -> None:
    with pytest.raises(BlobUploadInvalid):
        parse_content_range(header)


@given(st.integers(1, 2**60))
def test_the_range_of_an_upload_ends_at_its_last_byte(offset: int) -> None:
    assert upload_range(offset) == f"0-{offset - 1}"
    assert upload_range(0) == "0-0"
