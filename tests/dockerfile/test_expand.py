"""Variables, quotes and escapes."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile.expand import MOST_GROWTH, expand, expand_words
from dockyard.dockerfile.substitution import remove_prefix, remove_suffix, replace_matches
from dockyard.errors import Invalid

VARIABLES = {"A": "a", "SPACED": "one two", "EMPTY": "", "FILE": "dir/sub/name.tar.gz", "STAR": "a*b", "é": "accent"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$A", "a"),
        ("${A}b", "ab"),
        ("$Ab", ""),
        ("$A-$EMPTY-$NONE", "a--"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$$A", "A"),
        ("$1a$12", "a"),
        ("${1}", ""),
        ("$?$#$@", ""),
        ("$é", "accent"),
        ("$A_", ""),
        ("'$A'", "$A"),
        ('"$A"', "a"),
        ('"it\'s $A"', "it's a"),
        ("'say \"$A\"'", 'say "$A"'),
        (r"\$A", "$A"),
        (r"\\$A", "\\a"),
        (r"\n", "n"),
        (r'"\n"', r"\n"),
        (r'"\"\$\\"', '"$\\'),
        ("end\\", "end"),
        ("${A:-w}${EMPTY:-w}${NONE:-w}", "aww"),
        ("${A-w}${EMPTY-w}${NONE-w}", "aw"),
        ("${A:+w}${EMPTY:+w}${NONE:+w}", "w"),
        ("${A+w}${EMPTY+w}${NONE+w}", "ww"),
        ("${A:?w}${A?w}${EMPTY?w}", "aa"),
        ("${NONE:-${A:-b}$SPACED}", "aone two"),
        ("${NONE:-'quo}ted'}", "quo}ted"),
        (r"${NONE:-a\}b}", "a}b"),
        ("${FILE#*/}", "sub/name.tar.gz"),
        ("${FILE##*/}", "name.tar.gz"),
        ("${FILE%.*}", "dir/sub/name.tar"),
        ("${FILE%%.*}", "dir/sub/name"),
        ("${FILE#name}", "dir/sub/name.tar.gz"),
        ("${FILE:#dir/}", "sub/name.tar.gz"),
        ("${NONE#x}${NONE%x}", ""),
        (r"${STAR#a\*}", "b"),
        ("${FILE/sub/$A}", "dir/a/name.tar.gz"),
        (r"${FILE/\//-}", "dir-sub/name.tar.gz"),
        (r"${FILE//\//-}", "dir-sub-name.tar.gz"),
        ("${FILE//?/x}", "x" * 19),
        ("${FILE/*/all}", "all"),
        ("${FILE//*/all}", "all"),
        ("${NONE/a/b}", ""),
        ("${FILE//q/x}", "dir/sub/name.tar.gz"),
        ("${A///-}", "-a-"),
        ("${A///}", "a"),
    ],
)
def test_text_is_expanded(text: str, result: str) -> None:
    assert expand(text, VARIABLES) == result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("'open", "matching single-quote"),
        ('"open', "matching double-quote"),
        ('"$A', "matching double-quote"),
        ('"end\\', "matching double-quote"),
        ("${", "missing '}'"),
        ("${A", "missing '}'"),
        ("${A:-w", "missing '}'"),
        ("${A#w", "missing '}'"),
        ("${A/x", "missing '/'"),
        ("${A/x/y", "missing '}'"),
        ("${}", "bad substitution"),
        ("${{A}}", "bad substitution"),
        ("${:-x}", "bad substitution"),
        ("${A^^}", r"unsupported modifier \(\^\)"),
        ("${A:x}", r"unsupported modifier \(:x\)"),
        ("${A:", r"unsupported modifier \(:\)"),
        ("${NONE:?}", "NONE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE?say it}", "NONE: say it"),
        (r"${A#\x}", "invalid escape"),
        ("${A//x\\y/}", "invalid escape"),
        ("${A:-" * 60, "nested more than 50 deep"),
    ],
)
def test_text_that_can_not_be_expanded_says_why(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem) as caught:
        expand(text, VARIABLES)

    assert caught.value.message.startswith("failed to process")


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(Invalid) as caught:
        expand("x" * 1000 + "${", {})

    assert len(caught.value.message) < 300


def test_another_escape_character_takes_the_place_of_the_first() -> None:
    assert expand(r'C:\dir`$A "`"`$"', VARIABLES, escape="`") == 'C:\\dir$A "$'


def test_quotes_are_letters_in_a_heredoc() -> None:
    assert expand("\"$A\" 'it' \\$A", VARIABLES, quotes=False) == "\"a\" 'it' $A"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("echo \"$A\" '$A' $NONE", "echo \"a\" '$A' $NONE"),
        ("${NONE}${NONE:-w}${NONE+w}", "${NONE}${NONE:-w}${NONE+w}"),
        ("${NONE?w}${NONE#x}${NONE/a/b}", "${NONE?w}${NONE#x}${NONE/a/b}"),
        ("${EMPTY:-w}${EMPTY:+w}${A:-w}", "wa"),
    ],
)  # fmt: skip
def test_what_is_shown_keeps_quotes_and_unknown_variables(text: str, result: str) -> None:
    assert expand(text, VARIABLES, keep=True) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$SPACED", ["one", "two"]),
        ('"$SPACED"', ["one two"]),
        ("  a   b ", ["a", "b"]),
        ("x$SPACED'y z'", ["xone", "twoy z"]),
        (r"a\ b", ["a b"]),
        ("$EMPTY", []),
        ("''", []),
    ],
)
def test_words_are_divided_after_expansion(text: str, result: list[str]) -> None:
    assert expand_words(text, VARIABLES) == result


def test_variables_that_name_each_other_do_not_fill_the_memory() -> None:
    with pytest.raises(Invalid, match="over 1048576 characters"):
        expand("$A$A", {"A": "x" * (MOST_GROWTH // 2 + 1)})
    with pytest.raises(Invalid, match="over 1048576 characters"):
        expand("${A//x/$A}", {"A": "x" * 10_000})


@given(st.text(), st.dictionaries(st.sampled_from("ABé_"), st.text(max_size=5)), st.booleans(), st.booleans())
def test_any_text_expands_or_is_invalid(text: str, variables: dict[str, str], quotes: bool, keep: bool) -> None:
    try:
        expand(text, variables, quotes=quotes, keep=keep)
        assert len("".join(expand_words(text, variables))) <= len(expand(text, variables))
    except Invalid as error:
        assert error.message.startswith("failed to process")


@given(st.lists(st.sampled_from([*"$${}{}::-+?#%/\\'\"AB a*", "${A", "$B"]), max_size=25).map("".join))
def test_text_full_of_signs_expands_or_is_invalid(text: str) -> None:
    for keep in (False, True):
        try:
            expand(text, {"A": "a b"}, keep=keep)
        except Invalid as error:
            assert error.message.startswith("failed to process")


plain = st.text("ab/.", max_size=12)
patterns = st.text("ab/*?", max_size=6)


def expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)


@given(patterns, plain)
def test_a_removed_prefix_is_the_shortest_or_longest_that_matches(pattern: str, value: str) -> None:
    ends = [end for end in range(len(value) + 1) if fnmatch.fnmatchcase(value[:end], pattern)]

    assert remove_prefix(pattern, value, longest=False) == value[min(ends, default=0) :]
    assert remove_prefix(pattern, value, longest=True) == value[max(ends, default=0) :]


@given(patterns, plain)
def test_a_removed_suffix_is_the_shortest_or_longest_that_matches(pattern: str, value: str) -> None:
    starts = [start for start in range(len(value) + 1) if fnmatch.fnmatchcase(value[start:], pattern)]

    assert remove_suffix(pattern, value, longest=False) == value[: max(starts, default=len(value))]
    assert remove_suffix(pattern, value, longest=True) == value[: min(starts, default=len(value))]


@given(patterns.filter(lambda pattern: pattern.strip("*")), plain)
def test_replacing_is_as_a_regular_expression_does_it(pattern: str, value: str) -> None:
    first = replace_matches(pattern, value, "<>", every=False, most=1000)
    every = replace_matches(pattern, value, "<>", every=True, most=1000)

    assert first == re.sub(expression(pattern), "<>", value, count=1)
    assert every == re.sub(expression(pattern), "<>", value)


def test_a_pattern_of_many_stars_is_as_quick_as_another() -> None:
    value = "a" * 20_000

    assert remove_prefix("*a" * 50 + "b", value, longest=True) == value
    assert replace_matches("*a" * 50 + "b", value, "x", every=True, most=100_000) == value
