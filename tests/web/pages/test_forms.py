"""Forms and where they lead, without a hub."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dockyard.errors import Invalid
from dockyard.web.pages.forms import FIELDS, FORM_TYPE, next_path, parse_form, same_token
from dockyard.web.pages.tokens import DAY, DateInvalid, expiry

HERE = "https://hub.example"
NOON = 1_796_040_000.0  # 2026-11-30T12:00:00Z


def as_browsers_read(text: str) -> str:
    """What the URL standard makes of an address before it looks at it."""
    return re.sub(r"[\t\n\r]", "", text.strip("".join(map(chr, range(0x21))))).replace("\\", "/")


@given(st.text() | st.text(alphabet="/\\.:@?#%ab\t\n\r \0\x7f", max_size=12).map("/".__add__))
@example("//evil.example")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("https://evil.example")
@example("/..//evil.example")
@example("/ok\r\nSet-Cookie: a=b")
def test_whatever_is_asked_for_next_is_a_path_of_this_hub(text: str) -> None:
    following = next_path(text)
    reached = urlsplit(urljoin(f"{HERE}/login", as_browsers_read(following)))

    assert (reached.scheme, reached.netloc) == ("https", "hub.example")
    assert following.startswith("/") and not following.startswith("//")
    assert following.isascii() and following.isprintable() and " " not in following


@pytest.mark.parametrize("path", ["/", "/account", "/account/tokens?done=revoked", "/signup?invitation=a-b_C", "/a#b"])
def test_a_path_of_this_hub_is_kept(path: str) -> None:
    assert next_path(path) == path


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=8))
def test_a_form_is_read_as_it_was_filled_in(fields: dict[str, str]) -> None:
    body = urlencode(fields, errors="replace").encode()
    if any("\0" in value for value in fields.values()):
        with pytest.raises(Invalid):
            parse_form(FORM_TYPE, body)
        return
    form = parse_form(f"{FORM_TYPE}; charset=utf-8", body)

    assert {name: form.exact(name) for name in fields} == fields


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", b"a=b"),
        ("text/plain", b"a=b"),
        ("", b"a=b"),
        (FORM_TYPE, b"a=%ff"),
        (FORM_TYPE, "a=é".encode()),
        (FORM_TYPE, b"a=%00"),
        (FORM_TYPE, b"&".join(b"a=b" for _ in range(FIELDS + 1))),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Invalid):
        parse_form(content_type, body)


def test_a_field_that_comes_twice_is_refused_and_never_chosen_from() -> None:
    form = parse_form(FORM_TYPE, b"name=ada&name=eve")

    assert form.all("name") == ["ada", "eve"]
    with pytest.raises(Invalid):
        form.text("name")


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "٣", "9" * 19])
def test_what_is_no_id_is_refused(value: str) -> None:
    with pytest.raises(Invalid):
        parse_form(FORM_TYPE, urlencode({"id": value}).encode()).number("id")


def test_an_empty_token_is_never_right() -> None:
    assert same_token("a", "a")
    assert not same_token("", "")
    assert not same_token("a", "b")
    assert not same_token("a", "é")


@pytest.mark.parametrize(
    ("choice", "date", "seconds"),
    [("30", "", 30 * DAY), ("365", "", 365 * DAY), ("never", "", None), ("date", "2026-12-01", DAY + DAY // 2 - 60)],
)
def test_a_token_ends_when_it_was_said_to(choice: str, date: str, seconds: int | None) -> None:
    assert expiry(choice, date, NOON) == seconds


@pytest.mark.parametrize(
    ("choice", "date"),
    [
        ("date", ""),
        ("date", "2026-11-29"),
        ("date", "9999-12-31"),
        ("date", "tomorrow"),
        ("7", ""),
        ("", ""),
        ("1e9", ""),
    ],
)
def test_a_token_can_not_end_in_the_past_or_far_away_or_on_no_day(choice: str, date: str) -> None:
    with pytest.raises(DateInvalid):
        expiry(choice, date, NOON)
