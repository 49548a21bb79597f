from __future__ import annotations

import pytest

from dockyard.dockerfile.heredocs import openers
from dockyard.dockerfile.instructions import Copy, Heredoc, Run
from dockyard.dockerfile.parser import parse
from dockyard.errors import DockerfileInvalid


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RUN <<EOF", ["EOF"]), ("RUN cat <<a <<-b 3<<c > x", ["a", "b", "c"]), ("RUN a<<b", []), ("RUN x <<< y", []),
        ("RUN echo $((1<<2))", []), ("RUN echo $((1 << 2))", []), ("RUN echo '<<E' \" <<F \" \\<<G", []),
        ("RUN it's <<E", []), ("RUN ${x:-<<E } <<F", ["F"]), ("RUN ${x <<F", []), ("RUN <<'a b'\"c\"\\d", ["a bcd"]),
        ("RUN <<\"a\\\"b\\c\"", ["a\"b\\c"]), ("RUN <<$x", []), ("RUN <<''", [""]), ("RUN <<-", []), ("RUN <<'a", []),
        ("RUN a\\ <<b", []),
    ],
)  # fmt: skip
def test_a_line_asks_for_here_documents(text: str, names: list[str]) -> None:
    assert [found.name for found in openers(text)] == names


@pytest.mark.parametrize(
    ("opener", "expands"),
    [("<<a", True), ("<<'a'", False), ('<<"a"', False), ("<<\\a", True), ("<<a''", False), ("<<-a", True)],
)
def test_a_quoted_name_keeps_variables_as_they_are(opener: str, expands: bool) -> None:
    (found,) = openers(opener)

    assert found.expands is expands


def test_documents_follow_in_the_order_in_which_they_are_asked_for() -> None:
    text = 'FROM a\nCOPY --chmod=755 x <<one \\\n  y <<-"two" /to/\n'
    text += "\t1 \\\n# no comment\n\n one\none\n\t\ta\n\t b\n\ttwo\nRUN x"
    (stage,) = parse(text).stages
    copy, run = stage.instructions

    assert isinstance(copy, Copy)
    assert copy.sources == ("x", "y")
    assert copy.heredocs == (
        Heredoc("one", "\t1 \\\n# no comment\n\n one\n"), Heredoc("two", "a\n b\n", expand=False),
    )  # fmt: skip
    assert (copy.location.line, copy.location.end_line, run.location.line) == (2, 11, 12)


def test_a_command_in_json_form_and_other_instructions_have_none() -> None:
    (stage,) = parse('FROM a\nRUN ["cat", "<<E"]\nRUN [1, 2] <<E\nE\nCMD cat <<E\nENV A=<<E').stages

    assert [found.heredocs for found in stage.instructions if isinstance(found, Run)] == [
        (), (Heredoc("E", ""),),
    ]  # fmt: skip


def test_a_command_in_json_form_of_other_things_than_strings_has_none_either() -> None:
    with pytest.raises(DockerfileInvalid, match="arrays must be comprised of strings only"):
        parse('FROM a\nRUN ["<<E", 1]')


def test_a_last_document_needs_no_end_of_line() -> None:
    (stage,) = parse("FROM a\nRUN <<E\nx\nE").stages
    (run,) = stage.instructions

    assert isinstance(run, Run)
    assert run.heredocs == (Heredoc("E", "x\n"),)
    assert run.command.words == ("<<E",)
