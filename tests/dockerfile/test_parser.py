"""What each instruction reads as. Mistakes have their cases in tests/golden/dockerfile_errors."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dockyard.dockerfile import instructions as to
from dockyard.dockerfile.lexer import MAX_SIZE
from dockyard.dockerfile.parser import parse, parse_trigger
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

L = to.Location(2, 2)


def one(text: str, *, directive: str = "") -> to.Instruction:
    """The one instruction of a stage, with the location and text of all."""
    (stage,) = parse(f"{directive}FROM scratch\n{text}").stages
    (instruction,) = stage.instructions
    return instruction


def shell(text: str) -> to.Command:
    return to.Command((text,), shell=True)


def exec_form(*words: str) -> to.Command:
    return to.Command(words, shell=False)


def test_a_from_has_a_platform_and_a_name_in_lower_case() -> None:
    (stage,) = parse("FROM --platform=$BUILDPLATFORM debian:${V:-12} as Build-1.x").stages

    assert stage.start == to.From(
        to.Location(1, 1), "FROM --platform=$BUILDPLATFORM debian:${V:-12} as Build-1.x", "debian:${V:-12}",
        "$BUILDPLATFORM", "build-1.x",
    )  # fmt: skip
    assert stage.instructions == ()


def test_a_file_has_arguments_before_its_stages() -> None:
    read = parse("ARG A\nARG B=1 C=\nFROM a AS x\nARG D\nFROM x\nFROM scratch", name="other/Dockerfile")

    assert [arg.pairs for arg in read.arguments] == [(("A", None),), (("B", "1"), ("C", ""))]
    assert [(stage.start.image, len(stage.instructions)) for stage in read.stages] == [
        ("a", 1),
        ("x", 0),
        ("scratch", 0),
    ]
    assert (read.name, read.lines[2]) == ("other/Dockerfile", "FROM a AS x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("RUN make  all", lambda at, text: to.Run(at, text, shell("make  all"))),
        ('run ["a", "b c"]', lambda at, text: to.Run(at, text, exec_form("a", "b c"))),
        ("RUN ['a', 'b']", lambda at, text: to.Run(at, text, shell("['a', 'b']"))),
        ("RUN [ -f x ] && y", lambda at, text: to.Run(at, text, shell("[ -f x ] && y"))),
        ("RUN [NaN]", lambda at, text: to.Run(at, text, shell("[NaN]"))),
        (
            "RUN --mount=type=a --mount=type=b,x='y z' --network=none --security=insecure -- --x",
            lambda at, text: to.Run(at, text, shell("--x"), ("type=a", "type=b,x=y z"), "none", "insecure"),
        ),
        ("CMD a b", lambda at, text: to.Cmd(at, text, shell("a b"))),
        ("CMD []", lambda at, text: to.Cmd(at, text, exec_form())),
        ('ENTRYPOINT ["a\\u0041\\ud800"]', lambda at, text: to.Entrypoint(at, text, exec_form("aA\ufffd"))),
        ('SHELL ["/bin/bash", "-c"]', lambda at, text: to.Shell(at, text, ("/bin/bash", "-c"))),
        ("ENV A=1 B='x y' \"C D\"=z\\ z", lambda at, text: to.Env(
            at, text, (("A", "1"), ("B", "'x y'"), ('"C D"', "z\\ z")))),
        ("ENV A=\"a\\\"b c\" B='\\' C=", lambda at, text: to.Env(
            at, text, (("A", '"a\\"b c"'), ("B", "'\\'"), ("C", "")))),
        ("ENV A=\"never closed B=1", lambda at, text: to.Env(at, text, (("A", '"never closed B=1'),))),
        ("ENV OLD  a  b='c'", lambda at, text: to.Env(at, text, (("OLD", "a  b='c'"),))),
        ("ENV A=b==c", lambda at, text: to.Env(at, text, (("A", "b==c"),))),
        ("LABEL a.b=c d", None),
        ("LABEL \"a.b\"=c", lambda at, text: to.Label(at, text, (('"a.b"', "c"),))),
        ("LABEL old value", lambda at, text: to.Label(at, text, (("old", "value"),))),
        ("ARG A B= C='d e'", lambda at, text: to.Arg(at, text, (("A", None), ("B", ""), ("C", "'d e'")))),
        ("MAINTAINER Me <me@x>", lambda at, text: to.Maintainer(at, text, "Me <me@x>")),
        ("EXPOSE 80  443/tcp $P", lambda at, text: to.Expose(at, text, ("80", "443/tcp", "$P"))),
        ("VOLUME /a  /b", lambda at, text: to.Volume(at, text, ("/a", "/b"))),
        ('VOLUME ["/a b", " /c "]', lambda at, text: to.Volume(at, text, ("/a b", "/c"))),
        ("USER app : all", lambda at, text: to.User(at, text, "app : all")),
        ("WORKDIR /a b", lambda at, text: to.Workdir(at, text, "/a b")),
        ("STOPSIGNAL SIGTERM", lambda at, text: to.Stopsignal(at, text, "SIGTERM")),
        ("HEALTHCHECK none", lambda at, text: to.Healthcheck(at, text, None)),
        (
            "HEALTHCHECK --interval=1m30s --timeout=0 --start-period=1.5h --start-interval=1ms --retries=+3 cmd  x  y",
            lambda at, text: to.Healthcheck(at, text, shell("x  y"), "1m30s", "0", "1.5h", "1ms", "+3"),
        ),
        ('HEALTHCHECK CMD ["a"]', lambda at, text: to.Healthcheck(at, text, exec_form("a"))),
        ("COPY a 'b c' /d/", lambda at, text: to.Copy(at, text, ("a", "'b", "c'"), "/d/")),
        ('COPY ["a b", "c", "/d e/"]', lambda at, text: to.Copy(at, text, ("a b", "c"), "/d e/")),
        ("COPY a b --link", lambda at, text: to.Copy(at, text, ("a", "b"), "--link")),
        (
            "COPY --from=x --chown=1:2 --chmod=u=rwX --link --parents=FALSE --exclude=*.a --exclude=b a /d",
            lambda at, text: to.Copy(
                at, text, ("a",), "/d", from_="x", chown="1:2", chmod="u=rwX", link=True, excludes=("*.a", "b"))),
        ("COPY --parents a /d", lambda at, text: to.Copy(at, text, ("a",), "/d", parents=True)),
        ("ADD a /d", lambda at, text: to.Copy(at, text, ("a",), "/d", add=True)),
        (
            "ADD --checksum=sha256:0 --keep-git-dir --unpack=false https://x /d",
            lambda at, text: to.Copy(
                at, text, ("https://x",), "/d", add=True, checksum="sha256:0", keep_git_dir=True, unpack=False)),
        ("ADD --unpack a /d", lambda at, text: to.Copy(at, text, ("a",), "/d", add=True, unpack=True)),
        ("ONBUILD  copy --link a\t/d ", lambda at, text: to.Onbuild(at, text, "copy --link a\t/d")),
    ],
)  # fmt: skip
def test_an_instruction_reads_as(text: str, value: Callable[[to.Location, str], to.Instruction] | None) -> None:
    if value is None:
        with pytest.raises(DockerfileInvalid, match='can\'t find = in "d"'):
            one(text)
        return

    assert one(text) == value(L, text.strip())


def test_flags_lose_quotes_and_backslashes_and_the_last_may_never_be_closed() -> None:
    read = one('COPY --from=a\\ b"c \\" d"\'e \\\' f\' --chown="x y" a b')

    assert isinstance(read, to.Copy)
    assert (read.from_, read.chown) == ("a bc \" de ' f", "x y")
    for open_flag in ("--from='x a b", '--from="x a b\\', "--from=x\\"):
        with pytest.raises(DockerfileInvalid, match="COPY requires at least two arguments"):
            one(f"COPY {open_flag}")


def test_everything_is_read_without_its_byte_order_mark_and_carriage_returns() -> None:
    (stage,) = parse("\ufeffFROM scratch\r\nRUN a \\\r\n  b\r\n\r\nCOPY <<E /x\r\n1\r\nE\r\n").stages
    run, copy = stage.instructions

    assert run == to.Run(to.Location(2, 3), "RUN a   b", shell("a   b"))
    assert isinstance(copy, to.Copy)
    assert copy.heredocs == (to.Heredoc("E", "1\r\n"),)


def test_directives_are_kept_in_lower_case_until_the_first_other_line() -> None:
    read = parse("# Syntax = docker/dockerfile:1 \n#ESCAPE=`\n#check=skip=all;error=true\n# x=y\n# escape=\\\nFROM a")

    assert read.directives == (("syntax", "docker/dockerfile:1"), ("escape", "`"), ("check", "skip=all;error=true"))
    assert parse("\n# escape=`\nFROM a").directives == ()
    assert parse("# hello\n# escape=`\nFROM a").directives == ()


def test_the_escape_character_continues_lines_and_keeps_blanks_together() -> None:
    text = "RUN dir C:\\ `\n  D:\\\nENV A=b` c"
    (stage,) = parse(f"# escape=`\nFROM a\n{text}").stages
    run, env = stage.instructions

    assert isinstance(run, to.Run) and isinstance(env, to.Env)
    assert run.command == shell("dir C:\\   D:\\")
    assert env.pairs == (("A", "b` c"),)


def test_lines_go_on_over_comments_empty_lines_and_blanks_behind_the_mark() -> None:
    text = "RUN a \\  \t\n# no\n   # no \\\n\n \t \n  b # yes \\\n\\\nc\nUSER x"
    (stage,) = parse(f"FROM a\n{text}").stages
    run, user = stage.instructions

    assert isinstance(run, to.Run)
    assert run.command == shell("a   b # yes c")
    assert (run.location, user.location) == (to.Location(2, 9), to.Location(10, 10))


def test_a_doubled_mark_continues_nothing() -> None:
    (stage,) = parse("FROM a\nRUN echo \\\\\nUSER x").stages

    assert [type(found) for found in stage.instructions] == [to.Run, to.User]


def test_a_mark_at_the_end_of_the_file_continues_nothing() -> None:
    assert isinstance(one("RUN a \\"), to.Run)
    assert isinstance(one("RUN a \\\n"), to.Run)
    assert isinstance(one("RUN a\n\\\n\n"), to.Run)
    assert one("ENV a=b \\") == to.Env(L, "ENV a=b", (("a", "b"),))


def test_an_instruction_may_begin_on_the_line_behind_a_mark() -> None:
    read = one("\\\n   USER x")

    assert read == to.User(to.Location(3, 3, 4), "USER x", "x")


def test_a_trigger_is_read_as_an_instruction_with_its_here_documents() -> None:
    read = one("ONBUILD RUN <<A 3<<-'B' x\n1\nA\n\t2\n\tB")

    assert isinstance(read, to.Onbuild)
    assert read.trigger == "RUN <<A 3<<-'B' x\n1\nA\n2\nB"
    trigger = parse_trigger(read.trigger)
    assert isinstance(trigger, to.Run)
    assert trigger.heredocs == (to.Heredoc("A", "1\n"), to.Heredoc("B", "2\n", expand=False))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "onbuild trigger should be a single expression"), ("RUN a\nRUN b", "single expression"),
        ("FROM a", "FROM isn't allowed as an ONBUILD trigger"), ("ONBUILD RUN a", "Chaining ONBUILD"),
        ("maintainer a", "MAINTAINER isn't allowed"), ("RUNN a", "ONBUILD:1:1: unknown instruction: RUNN"),
    ],
)  # fmt: skip
def test_a_trigger_that_can_not_be_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DockerfileInvalid, match=problem):
        parse_trigger(text)


def test_an_error_has_its_place_and_line() -> None:
    with pytest.raises(DockerfileInvalid) as caught:
        parse("FROM a\n\nRUN true\n  COPY --link \\\n    --chwon=1 a b", name="docker/Dockerfile")

    error = caught.value
    assert (error.file, error.line, error.column, error.source) == ("docker/Dockerfile", 5, 5, "    --chwon=1 a b")
    assert str(error) == "docker/Dockerfile:5:5: unknown flag: --chwon"
    assert error.hint == "did you mean --chown?"


def test_a_file_that_is_too_large_or_no_text_is_refused() -> None:
    with pytest.raises(DockerfileInvalid, match="larger than 16 MiB"):
        parse("#" * (MAX_SIZE + 1))
    with pytest.raises(DockerfileInvalid, match=r"Dockerfile:2:1: not valid UTF-8"):
        parse("FROM a\nRUN \udcff")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["x", '"', "'", "${", "\\ ", "<<", "<<a ", "[", "'a' ", "--a ", "\\"])
def test_a_long_line_takes_no_more_than_its_length_in_time(part: str) -> None:
    for start in ("RUN <<E ", "RUN --mount=", "ENV A=", "COPY "):
        with contextlib.suppress(DockerfileInvalid):
            parse(f"FROM a\n{start}{part * 50_000}\nE\n")


def test_a_deep_json_array_is_refused_as_one_of_other_things_than_strings() -> None:
    with pytest.raises(DockerfileInvalid, match="arrays must be comprised of strings only"):
        one("CMD " + "[" * 100_000 + "]" * 100_000)


def test_a_stage_may_have_the_name_of_a_later_image() -> None:
    first, second = parse("FROM alpine AS debian\nFROM debian").stages

    assert replace(second.start, location=L).image == first.start.alias
