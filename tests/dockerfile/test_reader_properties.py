"""Whatever the text is: a Dockerfile, an error that says where, or the same with more comments in it."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile.checks import check
from dockyard.dockerfile.grammar import FORMS, Takes, reference
from dockyard.dockerfile.instructions import Dockerfile, Instruction, Location
from dockyard.dockerfile.parser import parse, parse_trigger
from dockyard.dockerfile.words import is_json, json_words, quoted, shell_words, spaced
from dockyard.errors import DockerfileInvalid

NOWHERE = Location(0, 0)
KEYWORDS = [form.keyword for form in FORMS]

_parts = st.sampled_from(
    [
        "\\", "`", "\n", "\\\n", "\r\n", " ", "\t", '"', "'", "$", "${", "}", "<<", "<<-E", "<<E", "E\n", "#", "=",
        "--", "--from=", "--link", "--mount=", "[", "]", '["a"]', ",", "a", "B", "/x", "as", "ONBUILD ", "CMD", "NONE",
        ":-", "# escape=`\n", "# check=skip=all\n", "\x0b", "\x85", "\u2028", "é", "\ufeff", "\\u0041", "{", "0", "s",
        "=5m",
    ]
)  # fmt: skip
_lines = st.builds(
    lambda keyword, parts: keyword + " " + "".join(parts), st.sampled_from(KEYWORDS), st.lists(_parts, max_size=12)
)
texts = st.one_of(
    st.text(),
    st.lists(_parts, max_size=30).map("".join),
    st.lists(_lines, max_size=6).map(lambda lines: "FROM a\n" + "\n".join(lines)),
)


@given(texts)
def test_reading_gives_instructions_or_an_error_that_says_where(text: str) -> None:
    try:
        read = parse(text)
    except DockerfileInvalid as error:
        lines = text.removeprefix("\ufeff").split("\n")
        assert 0 <= error.line <= len(lines)
        assert error.line == 0 or error.source == lines[error.line - 1].rstrip("\r")
        assert 1 <= error.column <= len(error.source) + 1
    else:
        ends = [0]
        for found in (one for stage in read.stages for one in (stage.start, *stage.instructions)):
            assert ends[-1] < found.location.line <= found.location.end_line <= len(read.lines)
            assert found.text == found.text.strip("\t ")
            ends.append(found.location.end_line)
        try:
            assert all(1 <= one.line <= len(read.lines) for one in check(read))
        except DockerfileInvalid as error:
            assert "check option" in error.problem


@given(texts)
def test_a_trigger_is_an_instruction_or_an_error(text: str) -> None:
    try:
        found = parse_trigger(text)
    except DockerfileInvalid:
        return
    assert type(found).__name__.upper() not in ("FROM", "ONBUILD", "MAINTAINER")


STATEMENTS = [
    ["ENV A=1 \\", "    B='2 3' \\", "  C=\"4\\\" \""], ["RUN make \\", "  all"], ["USER x"],
    ["COPY --link \\", "  a b \\", " /c/"], ['CMD ["a", \\', '  "b"]'], ["LABEL old \\", "new"], ["ARG X \\", " Y=1"],
    ["onbuild run \\", "y"], ["HEALTHCHECK --retries=3 \\", "CMD \\", " x"], ["FROM b"],
]  # fmt: skip
_noise = st.lists(st.sampled_from(["", "   ", "# comment", "\t# with a mark \\", "#"]), max_size=2)


@st.composite
def noisy(draw: st.DrawFn) -> tuple[str, str]:
    """A file, and the same with comments and empty lines between and inside its instructions."""
    chosen = draw(st.lists(st.sampled_from(STATEMENTS), max_size=5))
    plain, other = ["FROM a"], [*draw(_noise), "FROM a", *draw(_noise)]
    for lines in chosen:
        plain += lines
        for line in lines:
            other += [line, *draw(_noise)]
    return "\n".join(plain), "\n".join(other)


def placeless(read: Dockerfile) -> list[list[Instruction]]:
    return [
        [replace(one, location=NOWHERE) for one in (stage.start, *stage.instructions)] for stage in read.stages
    ]  # fmt: skip


@given(noisy())
def test_comments_and_empty_lines_change_nothing(texts: tuple[str, str]) -> None:
    plain, other = map(parse, texts)

    assert placeless(plain) == placeless(other)


@given(st.text())
def test_words_are_what_stands_between_blanks(text: str) -> None:
    kept = "".join(text.split())

    assert "".join("".join(spaced(text)).split()) == kept
    assert "".join("".join(quoted(text, "\\")).split()) in (kept, kept.removesuffix("\\"))
    assert all(text[at:].startswith(word) for word, at in shell_words(text))


@given(st.lists(st.text()))
def test_json_words_are_read_back(words: list[str]) -> None:
    assert json_words(json.dumps(words)) == tuple(words)
    assert is_json(json.dumps(words))


def test_each_flag_that_the_grammar_names_is_taken() -> None:
    values = {"interval": "1s", "timeout": "1s", "start-period": "1s", "start-interval": "1s", "retries": "1"}
    for form in reference():
        for flag in form.flags:
            value = flag.choices[0] if flag.choices else values.get(flag.name, "x")
            text = f"--{flag.name}" if flag.takes is Takes.SWITCH else f"--{flag.name}={value}"
            rest = {"HEALTHCHECK": "CMD a", "FROM": "a"}.get(form.keyword, "a b")
            first = "" if form.keyword == "FROM" else "FROM a\n"

            assert parse(f"{first}{form.keyword} {text} {rest}").stages
            assert flag.syntax.startswith(f"--{flag.name}") and flag.meaning


def test_each_form_begins_with_its_keyword() -> None:
    assert len({form.keyword for form in FORMS}) == 18
    assert all(syntax.split()[0] == form.keyword for form in FORMS for syntax in form.syntax)
