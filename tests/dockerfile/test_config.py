"""What instructions make of an image's config, and what history says of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile import config as configs
from dockyard.dockerfile import created_by, paths
from dockyard.dockerfile.durations import nanoseconds
from dockyard.dockerfile.instructions import Command, Healthcheck, Location
from dockyard.errors import Invalid

PATH = f"PATH={configs.DEFAULT_PATH}"


def health(command: Command | None = None, **flags: str) -> dict[str, Any]:
    return configs.healthcheck(Healthcheck(Location(1, 1), "", command or Command(("true",), True), **flags))


def test_a_stage_begins_with_a_path_except_on_windows() -> None:
    assert configs.inherit(None) == configs.inherit({}) == {"Env": [PATH]}
    assert configs.inherit({"Env": ["A=b"]}) == {"Env": ["A=b", PATH]}
    assert configs.inherit({"Env": ["PATH=/x"]}) == {"Env": ["PATH=/x"]}
    assert configs.inherit(None, windows=True) == {}


def test_of_a_base_only_fields_of_the_right_kind_are_kept() -> None:
    base = {
        "User": 7, "Env": ["PATH=/", 7, None], "Cmd": "x", "Labels": {"a": 1}, "Hostname": "h", "Volumes": None,
        "Entrypoint": [], "OnBuild": ["RUN x"], "Shell": ["sh"],
    }  # fmt: skip

    assert configs.inherit(base) == {"Env": ["PATH=/"], "Labels": {"a": "1"}, "Shell": ["sh"]}


def test_triggers_are_texts() -> None:
    assert configs.triggers({"OnBuild": ["RUN x", 7]}) == ["RUN x"]
    assert configs.triggers({"OnBuild": "RUN x"}) == configs.triggers(None) == configs.triggers({}) == []


def test_a_variable_keeps_its_place() -> None:
    config = configs.with_env({"Env": ["A=1", "B=2", "C"], "User": "u"}, [("A", "3"), ("D", "=")])

    assert config == {"Env": ["A=3", "B=2", "C=", "D=="], "User": "u"}
    with pytest.raises(Invalid, match="blank"):
        configs.with_env({}, [("", "x")])


def test_labels_are_added_and_replaced() -> None:
    before = {"Labels": {"a": "1"}}

    assert configs.with_labels(before, [("a", "2"), ("b", "3")]) == {"Labels": {"a": "2", "b": "3"}}
    assert before == {"Labels": {"a": "1"}}
    with pytest.raises(Invalid, match="blank"):
        configs.with_labels({}, [("", "x")])


@pytest.mark.parametrize(
    ("words", "ports"),
    [
        (["80"], ["80/tcp"]),
        (["80/UDP", "1/sctp"], ["80/udp", "1/sctp"]),
        (["7000-7002/udp"], ["7000/udp", "7001/udp", "7002/udp"]),
        (["80/"], ["80/tcp"]),
        (["8080:80", "1.2.3.4:5:6", "[::1]:1:2/udp"], ["80/tcp", "6/tcp", "2/udp"]),
        (["0", "65535"], ["0/tcp", "65535/tcp"]),
    ],
)
def test_words_of_expose_are_ports(words: list[str], ports: list[str]) -> None:
    assert configs.ports(words) == ports


@pytest.mark.parametrize("word", ["", "/tcp", "http", "80/http", "65536", "5-4", "1-2-3", "-1", "1-", "80/tcp/x", "٣"])
def test_what_is_no_port_is_refused(word: str) -> None:
    with pytest.raises(Invalid):
        configs.ports([word])


def test_ports_and_volumes_are_added() -> None:
    assert configs.with_ports({"ExposedPorts": {"1/tcp": {}}}, ["2/tcp"]) == {
        "ExposedPorts": {"1/tcp": {}, "2/tcp": {}}
    }
    assert configs.with_volumes({}, ["/a", "b"]) == {"Volumes": {"/a": {}, "b": {}}}
    with pytest.raises(Invalid, match="empty"):
        configs.with_volumes({}, ["/a", ""])


@pytest.mark.parametrize("user", ["app", "app:staff", "0", "1000:1000", "2147483647", "a b", ""])
def test_a_user_is_a_name_or_a_number(user: str) -> None:
    assert configs.with_user({}, user) == {"User": user}


@pytest.mark.parametrize(
    "user", ["2147483648", "4294967296", "-1", "+1", "0x0", "1e3", "app:-1", "1:2:3", "99999999999", "1\n"]
)
def test_a_number_that_no_user_can_have_is_refused(user: str) -> None:
    with pytest.raises(Invalid, match="neither a name nor a number"):
        configs.with_user({}, user)


@pytest.mark.parametrize("signal", ["SIGTERM", "term", "9", "SIGRTMIN+15", "RTMAX-14", "sigrtmin", "64"])
def test_a_signal_is_kept_as_written(signal: str) -> None:
    assert configs.with_stop_signal({}, signal) == {"StopSignal": signal}


@pytest.mark.parametrize("signal", ["", "SIG", "0", "SIGRTMIN+16", "RTMAX-15", "-9", "TERMINATE"])
def test_what_is_no_signal_is_refused(signal: str) -> None:
    with pytest.raises(Invalid, match="invalid signal"):
        configs.with_stop_signal({}, signal)


def test_commands_replace_each_other_as_docker_has_it() -> None:
    base = {"Cmd": ["old"], "Entrypoint": ["older"], "ArgsEscaped": True}

    assert configs.with_command(base, ["new"]) == {"Cmd": ["new"], "Entrypoint": ["older"]}
    assert configs.with_command(base, []) == {"Entrypoint": ["older"]}
    assert configs.with_entrypoint(base, ["new"], keep_command=False) == {"Entrypoint": ["new"]}
    assert configs.with_entrypoint(base, ["new"], keep_command=True) == {"Cmd": ["old"], "Entrypoint": ["new"]}


def test_the_shell_runs_a_text() -> None:
    command = Command(("echo  $A",), True)

    assert configs.words({}, command, windows=False) == ["/bin/sh", "-c", "echo  $A"]
    assert configs.words({}, command, windows=True) == ["cmd", "/S", "/C", "echo  $A"]
    assert configs.words({"Shell": ["x", "y"]}, command, windows=True) == ["x", "y", "echo  $A"]
    assert configs.words({"Shell": ["x"]}, Command(("a", "b"), False), windows=False) == ["a", "b"]


def test_a_health_check_keeps_what_was_said() -> None:
    assert health() == {"Test": ["CMD-SHELL", "true"]}
    assert health(Command(("a", "b"), False), interval="1h0.5s", retries="+4") == {
        "Test": ["CMD", "a", "b"], "Interval": 3_600_500_000_000, "Retries": 4
    }  # fmt: skip
    assert health(interval="0", timeout="1ms", start_period="0s", start_interval="2m", retries="0") == {
        "Test": ["CMD-SHELL", "true"], "Timeout": 1_000_000, "StartInterval": 120_000_000_000
    }  # fmt: skip
    assert configs.healthcheck(Healthcheck(Location(1, 1), "", None)) == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"interval": "999us"}, "less than 1ms"), ({"timeout": "-1s"}, "less than 1ms"),
        ({"interval": "x"}, "duration"), ({"retries": "-1"}, "negative"), ({"retries": "x"}, "not a number"),
        ({"retries": "2147483648"}, "not a number"),
    ],
)  # fmt: skip
def test_a_health_check_that_can_not_be_is_refused(flags: dict[str, str], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        health(**flags)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0s"), (1, "1ns"), (1100, "1.1µs"), (250_000_000, "250ms"), (1_500_000_000, "1.5s"), (60 * 10**9, "1m0s"),
        (3600 * 10**9, "1h0m0s"), (3_661_001_000_000, "1h1m1.001s"), (10_000_000_000, "10s"), (999_999, "999.999µs"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_go_does(length: int, text: str) -> None:
    assert created_by.duration_text(length) == text


@given(st.integers(0, 2**62))
def test_a_duration_reads_back(length: int) -> None:
    assert nanoseconds(created_by.duration_text(length)) == length


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1x", "s", ".s", "1s1", "99999999999h", "1.5.5s", "9" * 200 + "s", "1 s", "+", "٣s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        nanoseconds(text)


def test_a_word_is_quoted_as_go_does() -> None:
    assert created_by.quote('a"\\\n\té \x00\x7f\u200b\U000e0001') == r'"a\"\\\n\té \x00\x7f\u200b\U000e0001"'


@pytest.mark.parametrize(
    ("current", "path", "linux", "windows"),
    [
        ("/", "a", "/a", "/a"), ("/a", "../..", "/", "/"), ("/a", "/b/", "/b", "/b"), ("/a", "", "/a", "/a"),
        ("/a", "//b", "/b", None), ("/a", "b\\c", "/a/b\\c", "/a/b/c"), ("/a", "C:\\x", "/a/C:\\x", "/x"),
        ("/a", "c:x", "/a/c:x", "/a/x"), ("/a", "C:", "/a/C:", None), ("/a", "D:\\x", "/a/D:\\x", None),
        ("/a", "\\\\host\\x", "/a/\\\\host\\x", None),
    ],
)  # fmt: skip
def test_a_folder_is_joined_to_the_one_before(current: str, path: str, linux: str, windows: str | None) -> None:
    assert paths.workdir(current, path, windows=False) == linux
    if windows is None:
        with pytest.raises(Invalid):
            paths.workdir(current, path, windows=True)
    else:
        assert paths.workdir(current, path, windows=True) == windows


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/w/"),
        (".", "/w/"),
        ("./", "/w/"),
        ("x", "/w/x"),
        ("x/", "/w/x/"),
        ("x/.", "/w/x/"),
        ("..", "/"),
        ("/", "/"),
    ],
)
def test_a_destination_says_whether_it_is_a_folder(path: str, expected: str) -> None:
    assert paths.destination("/w", path, windows=False) == expected


def test_a_destination_on_windows_may_end_with_a_backslash() -> None:
    assert paths.destination("/w", ".\\x\\", windows=True) == "/w/x/"
    assert paths.shown("/a/b", windows=True) == "\\a\\b"
