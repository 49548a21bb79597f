""".dockerignore."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile.ignore import IgnoreRules
from dockyard.dockerfile.patterns import match
from dockyard.errors import DockerfileInvalid


def excluded(text: str, *paths: str) -> list[str]:
    rules = IgnoreRules.parse(text)
    return [path for path in paths if rules.excludes(path)]


def test_nothing_is_left_out_by_an_empty_file() -> None:
    assert excluded("", "a", "a/b") == []
    assert excluded("\n # \n#a\n\n", "a", "#a") == []


def test_a_comment_begins_in_the_first_column() -> None:
    assert excluded("#a\n #b\n", "#a", "#b", "a") == ["#b"]


def test_blanks_around_a_pattern_and_a_slash_before_it_do_not_count() -> None:
    assert excluded("\ufeff  a  \r\n/b\n./c/\n//d\n e f ", "a", "b", "c", "d", "e f", "e") == [
        "a",
        "b",
        "c",
        "d",
        "e f",
    ]


def test_a_folder_takes_all_that_is_in_it() -> None:
    assert excluded("a", "a", "a/b", "a/b/c", "ab", "x/a") == ["a", "a/b", "a/b/c"]
    assert excluded("*/b", "a/b", "a/b/c/d", "b", "x/a/b") == ["a/b", "a/b/c/d"]


def test_of_the_patterns_that_mean_a_path_the_last_decides() -> None:
    text = "*.md\n!README*.md\nREADME-secret.md\n"

    assert excluded(text, "a.md", "README.md", "README-secret.md") == ["a.md", "README-secret.md"]
    assert excluded("*\n! src \nsrc/*.o", "a", "src", "src/a.c", "src/a.o") == ["a", "src/a.o"]


def test_an_exception_counts_only_where_something_is_left_out_before_it() -> None:
    # As docker walks a context: what is in a folder that no rule leaves out, its exception does not reach.
    assert excluded("*/x\n!a", "a/x") == ["a/x"]
    assert excluded("a\n!a", "a/x") == []


def test_dot_and_the_parent_mean_nothing() -> None:
    assert excluded(".\n..\n../x\n/\n", "a", "x") == []


def test_stars_reach_into_folders() -> None:
    assert excluded("**/temp*\n", "temp", "a/b/temp1", "a/btemp") == ["temp", "a/b/temp1"]
    assert excluded("**\n!**/*.go\n", "a", "a/b.go", "b.go", "a/c") == ["a", "a/c"]


@pytest.mark.parametrize("line", ["!", " ! ", "[", "a/[b", "!\\"])
def test_a_malformed_line_is_named(line: str) -> None:
    with pytest.raises(DockerfileInvalid) as caught:
        IgnoreRules.parse(f"ok\n\n{line}\r\n", name="x.dockerignore")

    assert (caught.value.file, caught.value.line, caught.value.source) == ("x.dockerignore", 3, line)


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("a", "a", False), ("a\n!b", "a", False), ("a\n!a/b", "a", True), ("a\n!a", "a", False),
        ("*\n!a/b/c", "a", True),
        ("*\n!a/b/c", "a/b", True), ("*\n!a/b/c", "a/b/c", False), ("*\n!a/b/c", "a/x", False),
        ("*\n!**/x", "a/b", True),
        ("*\n!a/*/c", "a/b", True), ("*\n!a?/c", "ab", True), ("*\n!a\\/b", "q", True),
    ],
)  # fmt: skip
def test_a_folder_may_hold_what_is_taken_after_all(text: str, folder: str, expected: bool) -> None:
    assert IgnoreRules.parse(text).may_hold(folder) is expected


def reference(lines: list[str], path: str) -> bool:
    """The same, said slowly: walk down to the path, and at each folder ask each line that could change something."""
    folders = path.split("/")
    inherited = [False] * len(lines)
    for depth in range(1, len(folders) + 1):
        out = False
        for number, line in enumerate(lines):
            again = line.startswith("!")
            means = inherited[number] or (
                again == out and match(posixpath.normpath(line.lstrip("!")), "/".join(folders[:depth]))
            )
            inherited[number] = means
            if means:
                out = not again
    return out


PARTS = ["a", "b", "ab", "*", "**", "a*", "*.c", "?", "[ab]", "."]
names = st.lists(st.sampled_from(["a", "b", "ab", "a.c"]), min_size=1, max_size=4).map("/".join)
rules = st.lists(
    st.tuples(
        st.sampled_from(["", "!"]),
        st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join),
    ).map("".join),
    max_size=5,
)  # fmt: skip


@given(rules, st.lists(names, min_size=1, max_size=5))
def test_rules_are_what_walking_down_gives(lines: list[str], paths: list[str]) -> None:
    found = IgnoreRules.parse("\n".join(lines))

    for number, path in enumerate(paths):
        assert found.excludes(path, is_folder=number % 2 == 0) is reference(lines, path)


@given(rules, names)
def test_a_folder_that_may_hold_nothing_holds_nothing(lines: list[str], path: str) -> None:
    found = IgnoreRules.parse("\n".join(lines))
    for depth in range(1, path.count("/") + 1):
        folder = "/".join(path.split("/")[:depth])
        if found.excludes(folder) and not found.may_hold(folder):
            assert found.excludes(path)


@given(st.text(), st.lists(st.text("ab/.*!\\[]", min_size=1, max_size=9), min_size=1, max_size=3))
def test_any_text_is_rules_or_invalid(text: str, paths: list[str]) -> None:
    for whole in (text, "\n".join(paths), "\n".join([text, *paths])):
        try:
            found = IgnoreRules.parse(whole)
        except DockerfileInvalid as error:
            assert error.line
            continue
        for path in paths:
            assert found.excludes(path) in (True, False)
            assert found.may_hold(path) in (True, False)
