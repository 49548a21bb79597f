from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.cli.output import Columns, documents, lines
from dockyard.cli.tables import align, width
from dockyard.cli.units import age, human_duration, human_size
from dockyard.errors import Invalid

COLUMNS = Columns({"Name": "NAME", "ID": "IMAGE ID", "Size": "SIZE"}, ("Name", "ID"))
ROWS = [{"Name": "a", "ID": "1234567890ab", "Size": "1MB"}, {"Name": "a-long-name", "ID": "2", "Size": "<none>"}]


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [
        (0, 3, "0B"), (999, 3, "999B"), (1000, 3, "1kB"), (1982256, 3, "1.98MB"), (1982256, 4, "1.982MB"),
        (999_999, 3, "1MB"), (999_949, 4, "999.9kB"), (10**24, 3, "1YB"), (10**28, 3, "1e+04YB"), (1_500, 4, "1.5kB"),
    ],
)  # fmt: skip
def test_sizes_read_as_dockers(size: int, digits: int, text: str) -> None:
    assert human_size(size, digits) == text


@given(st.integers(0, 10**26), st.sampled_from([3, 4]))
def test_a_size_is_right_to_its_digits(size: int, digits: int) -> None:
    text = human_size(size, digits)
    number, unit = text.rstrip("kMGTPEZYB"), text.lstrip("0123456789.e+")
    factor = 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"].index(unit)

    assert float(number) * factor == pytest.approx(size, rel=10 ** (1 - digits), abs=0.5)
    assert float(number) < 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (120, "2 minutes"),
        (3599, "59 minutes"), (3600, "About an hour"), (5400, "2 hours"), (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"), (14 * 86400, "2 weeks"), (59 * 86400, "8 weeks"), (60 * 86400, "2 months"),
        (364 * 86400, "12 months"), (730 * 86400, "2 years"), (3650 * 86400, "10 years"),
    ],
)  # fmt: skip
def test_ages_read_as_dockers(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_an_age_of_nothing_and_of_the_future() -> None:
    assert age(0, 100) == "N/A"
    assert age(200, 100) == "Less than a second ago"


def test_columns_are_three_apart_and_ten_wide_at_least() -> None:
    assert align("A\tB\tC\nlong-enough-to-widen\tb\tc").splitlines() == [
        "A                      B         C",
        "long-enough-to-widen   b         c",
    ]


def test_a_line_without_the_column_ends_it() -> None:
    assert align("a\tb\nnone\na-very-long-cell\tb").splitlines() == ["a         b", "none", "a-very-long-cell   b"]


def test_wide_and_combining_characters_line_up() -> None:
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert align("日本日本日本\tx\na\ty").splitlines() == ["日本日本日本   x", "a              y"]


cells = st.lists(st.text("abc日 ", max_size=14), min_size=1, max_size=5)


@given(st.lists(cells, max_size=6))
def test_aligning_changes_nothing_but_space(rows: list[list[str]]) -> None:
    text = align("\n".join("\t".join(row) for row in rows))
    expected = "\n".join("".join(row) for row in rows)

    assert text.replace(" ", "") == expected.replace(" ", "")


@given(st.lists(st.tuples(st.text("ab日", max_size=20), st.text("ab", max_size=5)), min_size=1, max_size=6))
def test_the_second_column_starts_at_one_place(rows: list[tuple[str, str]]) -> None:
    found = align("\n".join(f"{left}\t{right}" for left, right in rows)).split("\n")
    starts = {width(line) - width(right) for line, (_, right) in zip(found, rows, strict=True)}

    assert len(starts) == 1
    assert starts.pop() >= max(10, max(width(left) for left, _ in rows) + 3)


def test_a_list_shows_as_a_table_as_json_and_by_a_template() -> None:
    assert lines(ROWS, COLUMNS).splitlines()[0] == "NAME          IMAGE ID"
    assert lines(ROWS, COLUMNS, "table") == lines(ROWS, COLUMNS)
    assert lines(ROWS, COLUMNS, "json").splitlines()[1] == '{"ID":"2","Name":"a-long-name","Size":"\\u003cnone\\u003e"}'
    assert lines(ROWS, COLUMNS, "{{.Name}}\\t{{.Size}}") == "a\t1MB\na-long-name\t<none>\n"
    assert lines([], COLUMNS, "{{.Name}}") == ""
    assert lines([], COLUMNS) == "NAME      IMAGE ID\n"


def test_a_table_by_a_template_has_the_headers_of_its_fields() -> None:
    text = lines(ROWS, COLUMNS, "table {{.Size}}\\t{{upper .Name}}")

    assert text.splitlines() == ["SIZE      NAME", "1MB       A", "<none>    A-LONG-NAME"]


def test_a_field_that_a_list_does_not_have_is_an_error_also_where_the_list_is_a_table() -> None:
    with pytest.raises(Invalid, match="can't evaluate field Other"):
        lines(ROWS, COLUMNS, "table {{.Other}}")


def test_control_characters_from_elsewhere_do_not_reach_the_terminal() -> None:
    row = {"Name": "a\x1b[2Jb\tc\nd", "ID": "1", "Size": ""}

    assert lines([row], COLUMNS).splitlines()[1] == "a\\x1b[2Jb\\x09c\\x0ad   1"


def test_documents_are_an_indented_list_or_a_line_each() -> None:
    found = [{"Id": "sha256:1", "Config": {"Labels": {"a": "<b>"}}}]

    assert documents(found).splitlines()[:3] == ["[", "    {", '        "Id": "sha256:1",']
    assert json.loads(documents(found)) == found
    assert documents([]) == "[]\n"
    assert documents(found, "{{.Id}} {{.Config.Labels.none}}") == "sha256:1 <no value>\n"
    assert documents(found, "json") == '[{"Id":"sha256:1","Config":{"Labels":{"a":"<b>"}}}]\n'
    with pytest.raises(Invalid, match="can't evaluate field Nope"):
        documents(found, "{{.Config.Nope}}")
