"""What ``--change`` makes of an image's config, and how times are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.engine.changes import apply_changes
from dockyard.engine.times import moment, text, until
from dockyard.errors import Invalid


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        ([], {}),
        (['CMD ["sh", "-c", "ls"]'], {"Cmd": ["sh", "-c", "ls"]}),
        (["CMD ls -l | wc"], {"Cmd": ["/bin/sh", "-c", "ls -l | wc"]}),
        (["cmd []"], {}),
        (["CMD x", "ENTRYPOINT /init --now"], {"Entrypoint": ["/bin/sh", "-c", "/init --now"]}),
        (['ENTRYPOINT ["/a"]', 'CMD ["b"]'], {"Entrypoint": ["/a"], "Cmd": ["b"]}),
        (["ENV A=b C='d e' F=\"g h\" I=j\\ k"], {"Env": ["A=b", "C=d e", "F=g h", "I=j k"]}),
        (["ENV A b  c"], {"Env": ["A=b  c"]}),
        (["ENV A=1", "ENV B=2 A=3"], {"Env": ["B=2", "A=3"]}),
        (["ENV EMPTY="], {"Env": ["EMPTY="]}),
        (
            ["LABEL a=b", 'LABEL "com.example/x y"="some value"'],
            {"Labels": {"a": "b", "com.example/x y": "some value"}},
        ),
        (["EXPOSE 80 443/tcp 53/UDP"], {"ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "53/udp": {}}}),
        (["EXPOSE 8000-8002"], {"ExposedPorts": {"8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}}),
        (["USER app:app"], {"User": "app:app"}),
        (['VOLUME ["/a b", "/c"]', "VOLUME /d /e"], {"Volumes": {"/a b": {}, "/c": {}, "/d": {}, "/e": {}}}),
        (["WORKDIR /srv", "WORKDIR app/../web"], {"WorkingDir": "/srv/web"}),
        (["ONBUILD RUN make", "ONBUILD COPY . /"], {"OnBuild": ["RUN make", "COPY . /"]}),
        (["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
    ],
)
def test_instructions_change_the_config(changes: list[str], config: dict[str, Any]) -> None:
    assert apply_changes(changes) == config


def test_windows_has_a_shell_and_folders_of_its_own() -> None:
    made = apply_changes(["CMD dir", "WORKDIR C:\\app"], system="windows")

    assert made == {"Cmd": ["cmd", "/S", "/C", "dir"], "WorkingDir": "C:\\app"}


@pytest.mark.parametrize(
    "change",
    [
        "", "RUN make", "FROM x", "ENV", "ENV A", "ENV =b", "ENV A=b C", "LABEL", "EXPOSE", "EXPOSE none", "EXPOSE 0",
        "EXPOSE 70000", "EXPOSE 90-80", "USER", "USER a b", "VOLUME", 'VOLUME [""]', "WORKDIR", "ONBUILD",
        "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "ENV A='unclosed",
    ],
)  # fmt: skip
def test_what_is_no_change_is_refused_by_name(change: str) -> None:
    with pytest.raises(Invalid, match="change"):
        apply_changes([change])


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T01:30:00+01:30", 1767225600.0),
        ("2025-12-31T23:00:00-01:00", 1767225600.0),
        ("2026-01-01T00:00:00.123456789Z", 1767225600.123456789),
        ("2026-01-01", 1767225600.0),
        ("2026-01-01T00:00", 1767225600.0),
        ("2016-12-31T23:59:60Z", 1483228799.0),
        ("", 0.0), ("yesterday", 0.0), ("2026-13-01T00:00:00Z", 0.0), ("0000-00-00T00:00:00Z", 0.0),
    ],
)  # fmt: skip
def test_times_are_read_as_far_as_they_are_times(written: str, seconds: float) -> None:
    assert moment(written) == pytest.approx(seconds)


@given(st.integers(0, 4_000_000_000) | st.floats(0, 4e9))
def test_a_time_that_is_written_reads_back(seconds: float) -> None:
    assert moment(text(seconds)) == pytest.approx(seconds, abs=2e-6)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(10, "1970-01-01T00:00:10Z"), (100.5, "1970-01-01T00:01:40.5Z"), (0.000001, "1970-01-01T00:00:00.000001Z")],
)
def test_a_time_is_written_without_idle_zeros(seconds: float, written: str) -> None:
    assert text(seconds) == written


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("24h", 13600.0), ("1h30m", 94600.0), ("0.5h", 98200.0), ("90s", 99910.0), ("50", 50.0), ("1970-01-02", 86400.0)],
)
def test_until_takes_ages_and_times(value: str, seconds: float) -> None:
    assert until(value, 100_000.0) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "yesterday", "3 days", "-1h", "h"])
def test_until_refuses_the_rest(value: str) -> None:
    with pytest.raises(Invalid, match="until="):
        until(value, 0.0)
