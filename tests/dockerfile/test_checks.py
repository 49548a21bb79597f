from __future__ import annotations

import pytest

from dockyard.dockerfile.check_options import CheckOptions, check_options
from dockyard.dockerfile.check_rules import RULES, Finding
from dockyard.dockerfile.checks import check, refuse
from dockyard.dockerfile.parser import parse
from dockyard.errors import DockerfileInvalid

ALL = CheckOptions(experimental=frozenset({"all"}))
GOOD = """\
# syntax=docker/dockerfile:1
# base is what everything starts from
ARG BASE=debian:12
FROM --platform=$BUILDPLATFORM ${BASE} AS base
# VERSION of the program
ARG VERSION=1
ENV LD_LIBRARY_PATH=$LD_LIBRARY_PATH:/x PUBLIC_KEY=a KEY_FILE=/b
COPY a-$VERSION ${VERSION:-x} ${OTHER:-y} '$QUOTED' \\$ESCAPED /c/
SHELL ["/bin/bash", "-c"]
WORKDIR /app
WORKDIR src
EXPOSE 80/tcp $PORTS:80 443/$PROTO
CMD run
FROM --platform=linux/arm64 alpine AS base-arm64
WORKDIR $HOME
ENTRYPOINT ["run"]
HEALTHCHECK NONE
"""


def found(text: str, rule: str, **more: object) -> list[tuple[int, str]]:
    findings = check(parse(text), options=ALL, **more)  # type: ignore[arg-type]
    return [(one.line, one.message) for one in findings if one.rule == rule]


def test_nothing_is_found_in_a_good_file() -> None:
    assert check(parse(GOOD), ignored=lambda path: False) == []


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("StageNameCasing", "FROM a AS Big", [(1, "Stage name 'Big' should be lowercase")]),
        ("DuplicateStageName", "FROM a AS b\nFROM c AS B\nFROM d", [
            (2, 'Duplicate stage name "b", stage names should be unique')]),
        ("FromAsCasing", "FROM a as b", [(1, "'as' and 'FROM' keywords' casing do not match")]),
        ("FromAsCasing", "from a AS b", [(1, "'AS' and 'from' keywords' casing do not match")]),
        ("FromAsCasing", "from a as b", []),
        ("NoEmptyContinuation", "FROM a\nRUN b \\\n\n  c \\\n # d\n  \\\n\n e", [(3, "Empty continuation line")]),
        ("ConsistentInstructionCasing", "FROM a\nrun b\nCMD []", [
            (2, "Command 'run' should match the case of the command majority (uppercase)")]),
        ("ConsistentInstructionCasing", "from a\nrun b\nCmd []", [
            (3, "Command 'Cmd' should match the case of the command majority (lowercase)")]),
        ("ReservedStageName", "FROM a AS scratch", [
            (1, 'Stage name should not use the same name as reserved stage "scratch"')]),
        ("JSONArgsRecommended", "FROM a\nCMD b\nENTRYPOINT c", [
            (2, "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"),
            (3, "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals")]),
        ("JSONArgsRecommended", 'FROM a AS b\nSHELL ["x"]\nFROM b\nCMD c', []),
        ("MaintainerDeprecated", "FROM a\nMAINTAINER b", [
            (2, "Maintainer instruction is deprecated in favor of using label")]),
        ("UndefinedArgInFrom", "ARG VERSION=1\nFROM --platform=$X a:${VERSON}", [
            (2, "FROM argument 'VERSON' is not declared (did you mean VERSION?)"),
            (2, "FROM argument 'X' is not declared")]),
        ("WorkdirRelativePath", "FROM a\nWORKDIR b\nWORKDIR /c\nWORKDIR d", [
            (2, 'Relative workdir "b" can have unexpected results if the base image changes')]),
        ("WorkdirRelativePath", "FROM a AS b\nWORKDIR C:\\x\nFROM b\nWORKDIR d", []),
        ("MultipleInstructionsDisallowed", "FROM a\nCMD []\nHEALTHCHECK NONE\nCMD []\nFROM b\nHEALTHCHECK NONE", [
            (2, "Multiple CMD instructions should not be used in the same stage "
                "because only the last one will be used")]),
        ("LegacyKeyValueFormat", "FROM a\nENV b c\nLABEL d e\nENV f=g", [
            (2, '"ENV key=value" should be used instead of legacy "ENV key value" format'),
            (3, '"LABEL key=value" should be used instead of legacy "LABEL key value" format')]),
        ("RedundantTargetPlatform", "FROM --platform=${TARGETPLATFORM} a", [
            (1, "Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant "
                "as this is the default behavior")]),
        ("SecretsUsedInArgOrEnv", "ARG API_KEY\nFROM a\nENV my_password=x PUBLIC_TOKEN=y MONKEY=z", [
            (1, 'Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")'),
            (3, 'Do not use ARG or ENV instructions for sensitive data (ENV "my_password")')]),
        ("InvalidDefaultArgInFrom", "ARG TAG\nARG NAME=debian\nFROM $NAME:$TAG\nFROM $NAME\nFROM $OTHER\nFROM A", [
            (3, "Default value for ARG $NAME:$TAG results in empty or invalid base image name")]),
        ("InvalidDefaultArgInFrom", "ARG A=${A?no}\nFROM $A", [
            (2, "Default value for ARG $A results in empty or invalid base image name")]),
        ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 a\nFROM --platform=linux/amd64 a AS b-amd64", [
            (1, 'FROM --platform flag should not use constant value "linux/amd64"')]),
        ("InvalidDefinitionDescription", "# about\nFROM a AS b\n# X x\n# of it\nARG X\n# it\nARG Y Z\n# it\n\nARG Q", [
            (2, "Comment for FROM should follow the format: `# b <description>`"),
            (5, "Comment for ARG should follow the format: `# X <description>`"),
            (7, "Comment for ARG should follow the format: `# <arg_key> <description>`")]),
        ("InvalidDefinitionDescription", "# about\n#\nFROM a AS b\n# x\nFROM c\n# y\nRUN d", []),
        ("ExposeProtoCasing", "FROM a\nEXPOSE 80/TCP", [
            (2, "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase")]),
        ("ExposeInvalidFormat", "FROM a\nEXPOSE 80 127.0.0.1:80:80", [
            (2, "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'")]),
    ],
)  # fmt: skip
def test_a_rule_finds(rule: str, text: str, expected: list[tuple[int, str]]) -> None:
    assert found(text, rule) == expected


def test_all_variables_are_known_where_the_base_is_scratch() -> None:
    text = 'FROM scratch\nARG A=$A B=$C\nENV P=$PATH:"it\'s $D" D=$D\n' + "\n".join(
        f"{instruction} $V{number}"
        for number, instruction in enumerate(["WORKDIR", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "LABEL a"])
    )
    text += "\nRUN --mount=type=$M x $NOT\nCOPY --chown=$O <<A <<'B' a$E /d\n$F\nA\n$G\nB\n"
    text += "ENV VERSION=1\nCMD $NOT\nUSER $VERSIO"

    assert [message.split("'")[1] for _, message in found(text, "UndefinedVar")] == [
        "$C", "$D", "$V0", "$V1", "$V2", "$V3", "$V4", "$V5", "$M", "$E", "$F", "$O", "$VERSIO",
    ]  # fmt: skip
    assert found(text, "UndefinedVar")[-1][1] == "Usage of undefined variable '$VERSIO' (did you mean $VERSION?)"


def test_only_sure_mistakes_are_found_where_the_base_is_not_known() -> None:
    text = "ARG OUTER=1\nFROM a AS one\nARG VERSION\nFROM One\n"
    text += "ENV A=$OUTER B=$TARGETARCH C=$VERSOIN D=$FROM_BASE E=$VERSION"

    assert [message.split("'")[1] for _, message in found(text, "UndefinedVar")] == [
        "$OUTER",
        "$TARGETARCH",
        "$VERSOIN",
    ]
    assert len(found(text, "UndefinedVar", bases={0: ["FROM_BASE"]})) == 3
    assert len(found(text, "UndefinedVar", bases={0: []})) == 4


def test_copies_of_what_dockerignore_leaves_out_are_found() -> None:
    text = "FROM a\nCOPY x y $z /d/\nADD x https://x/x /d/\nCOPY --from=b x /d/"

    assert found(text, "CopyIgnoredFile", ignored=lambda path: path != "y") == [
        (2, 'Attempting to COPY file "x" that is excluded by .dockerignore'),
        (3, 'Attempting to ADD file "x" that is excluded by .dockerignore'),
    ]


def test_the_directive_says_which_rules_are_left_out_and_looked_at() -> None:
    text = "FROM a as B\n# about\nARG X"

    assert {one.rule for one in check(parse(text))} == {"FromAsCasing", "StageNameCasing"}
    assert {one.rule for one in check(parse(f"# check=skip=FromAsCasing, X\n{text}"))} == {"StageNameCasing"}
    assert check(parse(f"# check=skip=all;error=true\n{text}")) == []
    assert len(check(parse(f"# check=experimental=InvalidDefinitionDescription\n{text}"))) == 3
    assert len(check(parse(f"# check=skip=all\n{text}"), options=CheckOptions())) == 2


def test_other_options_win_over_the_directive() -> None:
    read = parse("# check=skip=all\nFROM a")

    assert check_options(read) == CheckOptions(skip=frozenset({"all"}))
    assert check_options(read, "error=1;experimental=A,B") == CheckOptions(frozenset(), frozenset("AB"), True)
    assert check_options(read, " ") == CheckOptions()


@pytest.mark.parametrize(
    ("directive", "problem"),
    [
        ("skip", 'Dockerfile:2:1: invalid check option "skip"'), ("skp=all", 'invalid check option "skp=all"'),
        ("error=perhaps", 'failed to parse check option "error=perhaps"'),
    ],
)  # fmt: skip
def test_a_directive_that_can_not_be_read_is_refused(directive: str, problem: str) -> None:
    with pytest.raises(DockerfileInvalid, match=problem) as caught:
        check(parse(f"# syntax=x\n# check={directive}\nFROM a"))

    assert caught.value.source == f"# check={directive}"
    with pytest.raises(DockerfileInvalid, match=r"^Dockerfile: "):
        check_options(parse("FROM a"), directive)


def test_findings_are_an_error_where_they_are_asked_to_be() -> None:
    read = parse("FROM a\nMAINTAINER b\nENV c d")
    with pytest.raises(DockerfileInvalid) as caught:
        refuse(read, check(read))

    assert str(caught.value) == (
        "Dockerfile:2:1: lint violation found for rules: LegacyKeyValueFormat, MaintainerDeprecated"
    )
    refuse(read, [])


def test_a_finding_is_of_a_rule_with_a_meaning() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 21
    assert all(rule.meaning for rule in RULES)
    assert sorted([Finding(2, "a", ""), Finding(1, "b", "")])[0].line == 1
