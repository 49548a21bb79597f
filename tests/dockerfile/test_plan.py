"""Stages and steps, where a golden plan does not show it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile.copies import is_git, is_url, sources_of
from dockyard.dockerfile.instructions import Command, Heredoc, Run
from dockyard.dockerfile.parser import parse
from dockyard.dockerfile.plan import PlanOptions, find_target, needed, outline, plan_stage
from dockyard.dockerfile.steps import CopyAction, Origin, RunAction, StagePlan, Where
from dockyard.errors import DockerfileInvalid, Invalid
from dockyard.oci.platform import Platform

LINUX = Platform("linux", "amd64")
WINDOWS = Platform("windows", "amd64", os_version="10.0.20348.1")


def options(**fields: Any) -> PlanOptions:
    return PlanOptions(**{"platform": LINUX, "build_platform": LINUX, **fields})


def plan(text: str, config: dict[str, Any] | None = None, **fields: Any) -> StagePlan:
    """The plan of the last stage."""
    file, chosen = parse(text), options(**fields)
    heads = outline(file, chosen)
    return plan_stage(file, heads[-1], config or {}, chosen, heads=heads, base_author="Ann")


def problem(text: str, config: dict[str, Any] | None = None, **fields: Any) -> DockerfileInvalid:
    with pytest.raises(DockerfileInvalid) as caught:
        plan(text, config, **fields)
    return caught.value


def test_a_problem_shows_its_line() -> None:
    found = problem("FROM alpine\nRUN x\n  USER  -1\n")

    assert (found.file, found.line, found.column, found.source) == ("Dockerfile", 3, 3, "  USER  -1")


def test_the_author_of_the_base_stays() -> None:
    assert [step.author for step in plan("FROM x\nRUN a\nMAINTAINER Bob\nRUN b").steps] == ["Ann", "Bob", "Bob"]


def test_a_windows_version_is_part_of_the_platform_argument() -> None:
    found = plan("FROM x\nARG TARGETPLATFORM\nARG TARGETOSVERSION", platform=WINDOWS)

    assert found.arguments == {"TARGETPLATFORM": "windows(10.0.20348.1)/amd64", "TARGETOSVERSION": "10.0.20348.1"}


def test_an_automatic_argument_can_be_given() -> None:
    found = plan("FROM x\nARG TARGETARCH", build_args={"TARGETARCH": "riscv64"})

    assert found.arguments == {"TARGETARCH": "riscv64"}
    assert found.unused_args == ()


def test_the_target_names_the_stage_argument() -> None:
    assert plan("FROM x AS Last\nARG TARGETSTAGE").arguments == {"TARGETSTAGE": "last"}


def test_what_no_argument_declares_is_unused_unless_it_is_predefined() -> None:
    given = {"A": "1", "B": "2", "C": "3", "BUILDKIT_INLINE_CACHE": "1", "HTTP_PROXY": "x", "SOURCE_DATE_EPOCH": "0"}
    found = plan("ARG A\nFROM x AS apart\nARG B\nFROM x", {"OnBuild": ["ARG C"]}, build_args={**given, "D": "4"})

    assert found.unused_args == ("D",)


def test_a_proxy_that_the_image_sets_is_the_image_s() -> None:
    found = plan("FROM x\nENV HTTP_PROXY=mine\nRUN y", build_args={"HTTP_PROXY": "theirs"}).steps[-1].action

    assert isinstance(found, RunAction)
    assert dict(found.env)["HTTP_PROXY"] == "mine"
    assert found.transient == ("http_proxy",)


def test_running_without_the_sandbox_has_to_be_allowed() -> None:
    text = "FROM x\nRUN --security=insecure y"

    assert "not allowed" in problem(text).problem
    found = plan(text, insecure=True).steps[-1].action
    assert isinstance(found, RunAction)
    assert found.security == "insecure"


def test_a_stage_that_a_context_replaces_is_not_built() -> None:
    found = plan("FROM x AS Base\nRUN never\nCOPY --from=nine /a /b", contexts=frozenset({"base", "y"}))

    assert (found.steps, found.needs) == ((), ())
    assert found.head.base == Origin(Where.NAMED, "base")


def test_a_context_with_a_name_that_no_image_has_still_counts() -> None:
    found = plan("FROM x AS a.\nRUN never", contexts=frozenset({"A."}))

    assert found.head.base == Origin(Where.NAMED, "A.")


def test_scratch_is_never_a_context() -> None:
    found = plan("FROM scratch\nCOPY --from=scratch / /", contexts=frozenset({"scratch", "context"}))

    assert found.head.base == Origin(Where.SCRATCH)
    assert found.needs == (Origin(Where.SCRATCH),)


def test_a_stage_from_a_stage_is_for_its_platform() -> None:
    file, chosen = parse("FROM --platform=linux/arm64 x AS a\nFROM A"), options()

    assert [str(head.platform) for head in outline(file, chosen)] == ["linux/arm64", "linux/arm64"]


def test_a_circle_is_found_behind_what_leads_to_it() -> None:
    text = (
        "FROM a AS one\nCOPY --from=two a b\nFROM a AS two\nCOPY --from=three a b\nFROM a AS three\nCOPY --from=two a b"
    )
    found = problem(text)

    assert (found.line, found.problem) == (3, "circular dependency detected on stage: two")


def test_a_target_is_a_name_or_a_number() -> None:
    heads = outline(parse("FROM a AS one\nFROM b\nFROM c AS two"), options(target="none"))

    assert [find_target(heads, text) for text in ("", "ONE", "1", "stage-1", "two")] == [2, 0, 1, 1, 2]
    for wrong in ("3", "-1", "zz"):
        with pytest.raises(Invalid, match="could not be found"):
            find_target(heads, wrong)


def test_only_what_a_target_needs_is_built() -> None:
    text = "FROM a AS a\nFROM a AS b\nFROM x AS c\nRUN --mount=from=b,target=/b x\nFROM y\nCOPY --from=a / /"
    heads = outline(parse(text), options())

    assert needed(heads, 2) == (0, 1, 2)
    assert needed(heads, 3) == (0, 3)


def test_a_mount_from_a_later_stage_is_refused() -> None:
    found = problem("FROM a AS one\nRUN --mount=from=two,target=/x y\nFROM b AS two\nFROM one")

    assert (found.line, found.problem[:31]) == (2, 'cannot mount from stage "two", ')


def test_a_trigger_that_names_a_later_stage_is_refused_at_from() -> None:
    found = problem("FROM a\nRUN x", {"OnBuild": ["COPY --from=0 a b"]})

    assert (found.line, found.source) == (1, "FROM a")
    assert "needs to be defined before" in found.problem


def test_a_working_folder_of_the_base_that_can_not_be_is_said_of_from() -> None:
    assert problem("FROM a\nRUN x", {"WorkingDir": "D:\\x"}, platform=WINDOWS).line == 1


def test_sources_that_are_fetched_need_no_context() -> None:
    assert plan("FROM a\nADD https://x.example/y git@host.example:r.git /z/").needs == ()
    assert plan("FROM a\nCOPY <<x /y\nx").needs == ()


@pytest.mark.parametrize(
    ("source", "url", "git"),
    [
        ("https://x.example/a.git", True, True), ("https://x.example/a.git#v1:sub", True, True), ("a", False, False),
        ("https://x.example/a.git?ref=v1", True, True), ("http://x.example/a.git/b", True, False),
        ("a.git", False, False),
        ("git://x.example/a", False, True), ("ssh://git@x.example/a", False, True), ("me@host:a", False, True),
        ("a@b", False, False),
    ],
)  # fmt: skip
def test_a_source_is_a_url_or_a_repository_or_a_path(source: str, url: bool, git: bool) -> None:
    assert (is_url(source), is_git(source)) == (url, git)
    assert sources_of(CopyAction(Origin(Where.CONTEXT), (source,), "/", add=True)) == (() if url or git else (source,))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("COPY git@host.example:r.git /x", "source can't be a git ref for COPY"),
        ("ADD --checksum=sha256:12 https://x.example/y /z", "not a digest"),
        ("ADD --checksum=zzz https://x.example/y.git /z", "of a git source it is a commit"),
        ("ADD --checksum=abcdef0 https://x.example/y.git b /z/", "multiple sources"),
        ("COPY --chmod=u+q a /z", "invalid chmod"),
        ("COPY --chmod=77777 a /z", "invalid chmod"),
        ("COPY --from=-1 a /z", "invalid stage index"),
        ("COPY --from=Bad a /z", "must be lowercase"),
        ("COPY ${X?no} /z", "X: no"),
        ("VOLUME $X", "can not be an empty string"),
        ("ENV $X=1", "names can not be blank"),
        ("RUN --mount=type=nope x", "unsupported mount type"),
        ("FROM --platform=$X a", "empty platform value"),
        ("COPY <<.. /x\n..", "can't be a file with the name '..'"),
        ("RUN <<../../x\n#!a\n../../x", "can't be a file with the name '../../x'"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(line: str, reason: str) -> None:
    found = problem(f"FROM a\n{line}\n")

    assert reason in found.problem
    assert found.line == 2


LINES = [
    "FROM scratch", "FROM a AS b", "FROM b", "ARG A=", "ARG A", "ENV A=", "RUN ", "RUN --mount=", "RUN <<E\n", "E",
    "COPY --from=", "COPY --chmod=", "COPY a ", "ADD --checksum=", "EXPOSE ", "VOLUME ", "USER ", "WORKDIR ",
    "LABEL a=",
    "STOPSIGNAL ", "HEALTHCHECK --interval=1s CMD ", "SHELL [\"", "ONBUILD RUN ", "CMD ", "ENTRYPOINT [\"",
    "COPY <<E /",
]  # fmt: skip
NOISE = [
    "$A",
    "${A:-",
    "${A",
    "}",
    "'",
    '"',
    "\\",
    "b",
    "0",
    " ",
    "/",
    ".",
    "..",
    ":",
    "=",
    ",",
    "target=/x",
    "type=",
    '"]',
]


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.lists(st.sampled_from(NOISE), max_size=5).map("".join)), max_size=8),
    st.lists(st.sampled_from(LINES), max_size=2),
    st.sampled_from([LINUX, WINDOWS]),
)
def test_any_dockerfile_is_planned_or_invalid(
    lines: list[tuple[str, str]], triggers: list[str], platform: Platform
) -> None:
    text = "FROM a\n" + "\n".join("".join(line) for line in lines)
    chosen = options(platform=platform, contexts=frozenset({"c"}))
    try:
        file = parse(text)
        heads = outline(file, chosen)
        for index in needed(heads, len(heads) - 1):
            plan_stage(file, heads[index], {"OnBuild": triggers}, chosen, heads=heads)
    except DockerfileInvalid as error:
        assert error.line or error.problem


def test_what_is_shown_is_as_written_where_it_can_not_be_expanded() -> None:
    assert plan("FROM a\nRUN echo ${A:x} 'it").steps[0].text == "RUN echo ${A:x} 'it"


def test_a_heredoc_of_one_line_is_shown_whole() -> None:
    assert plan("FROM a\nRUN <<EOF\n\necho\n\nEOF").steps[0].text == "RUN <<EOF (echo)"
    assert plan("FROM a\nRUN <<EOF\nEOF").steps[0].text == "RUN <<EOF ()"


def test_a_script_is_a_text_for_a_windows_shell() -> None:
    found = plan("FROM a\nRUN <<EOF\n#!x\nEOF", platform=WINDOWS).steps[0].action

    assert isinstance(found, RunAction)
    assert (found.words[-1], found.scripts) == ("#!x\n", ())


def test_values_that_the_reader_never_gives_are_refused_too() -> None:
    file = parse("FROM a\nRUN x")
    run = file.stages[0].instructions[0]
    assert isinstance(run, Run)
    for change, reason in (
        ({"network": "bridge"}, "network mode"),
        ({"security": "none"}, "security"),
        ({"command": Command(("a",), False), "heredocs": (Heredoc("x", "y"),)}, "exec form"),
    ):
        broken = replace(file, stages=(replace(file.stages[0], instructions=(replace(run, **change),)),))
        heads = outline(broken, options())
        with pytest.raises(DockerfileInvalid, match=reason):
            plan_stage(broken, heads[0], None, options(), heads=heads)
    unknown = replace(file, stages=(replace(file.stages[0], instructions=(file.stages[0].start,)),), lines=())
    with pytest.raises(DockerfileInvalid, match="inside a stage"):
        plan_stage(unknown, outline(file, options())[0], None, options(), heads=outline(file, options()))
