"""Patterns for paths."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dockyard.dockerfile.patterns import compile_pattern, has_wildcard, match
from dockyard.errors import Invalid


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a", "a"), ("a/b", "a/b"), ("*", "a"), ("*.txt", "x.txt"), ("?", "é"), ("a?c", "abc"), ("a*c", "ac"),
        ("[a-c]", "b"), ("[^a-c]", "d"), ("[^a]", "/"), (r"\*", "*"), (r"[\]]", "]"), ("[!a]", "!"), ("a.b", "a.b"),
        ("**", "a/b/c"), ("**", "a"), ("**/a", "a"), ("**/a", "x/y/a"), ("a/**", "a/b/c"), ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"), ("a**", "a"), ("a**", "ab/c"), ("**.log", "x.log"), ("**.log", "d/x.log"),
        ("a/**b", "a/x/b"), ("**/*.py", "x/y.py"), ("**/*.py", "y.py"), ("*/**", "a/b"), ("**/*/c*/x", "a/b/cd/x"),
        ("x**/y", "xa/y"), ("**x*", "x1"), ("a/**/b/**/c/**/d", "a/b/x/c/d"), ("**/a/**/b/**", "x/a/b/y/z"),
        ("*a*a*b", "xaxaxb"), ("({$^|+.)", "({$^|+.)"), ("[a-]", "a"),
    ],
)  # fmt: skip
def test_a_pattern_means_a_path(pattern: str, path: str) -> None:
    if pattern == "[a-]":
        # As in Go, where a dash has to be between two letters.
        with pytest.raises(Invalid):
            match(pattern, path)
        return

    assert match(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a", "b"), ("a", "a/b"), ("*", "a/b"), ("*", "a/"), ("?", ""), ("?", "/"), ("a?c", "a/c"), ("[a-c]", "d"),
        ("[^a-c]", "b"), (r"\*", "a"), ("**/a", "xa"), ("**/a", "a/x"), ("a/**", "a"), ("a/**", "ab"),
        ("a/**/b", "a/xb"), ("**x*", "ax1"), ("**x*", "a/x/1"), ("*a*a*b", "xa/axb"), ("*a*a*b", "xab"), ("a.b", "axb"),
    ],
)  # fmt: skip
def test_a_pattern_does_not_mean_a_path(pattern: str, path: str) -> None:
    assert not match(pattern, path)


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[]a]", "[-]", "[z-a]", "\\", "a\\", "[\\", "[a-", "a/[^"])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="syntax error in pattern"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "expected"), [("a*", True), ("[x", True), ("?", True), (r"\*", False), ("a.b", False)]
)
def test_a_wildcard_is_seen_unless_it_is_escaped(text: str, expected: bool) -> None:
    assert has_wildcard(text) is expected


@given(st.text("ab*?[]^-\\/.!", max_size=10), st.text("ab/.*\\", max_size=12))
@example("**/a/**/b/**", "a/b/c")
def test_many_stars_mean_what_a_regular_expression_says(pattern: str, path: str) -> None:
    try:
        found = compile_pattern(pattern)
    except Invalid:
        return

    assert found._follow(path) is found.matches(path)


def test_a_pattern_of_many_stars_is_as_quick_as_another() -> None:
    assert not match("*a" * 60 + "b", "a" * 4000)
    assert not match("**/a/" * 20 + "b", "a/" * 2000)
