"""What a build shows: safe for a terminal, whole lines, and never a reason for the build to fail."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import time
from unicodedata import category

import pytest
from build_transcripts import FAILURE, MAKE, SUCCESS, event, said
from hypothesis import given
from hypothesis import strategies as st
from screen import Screen

from dockyard.cli.build_output import LONGEST, LineCutter, coloured, uncoloured
from dockyard.cli.build_plain import Plain
from dockyard.cli.build_progress import Quiet, RawJson, build_progress
from dockyard.cli.build_trace import Trace, fixed_size, stamp
from dockyard.cli.build_tty import Terminal, rows_of
from dockyard.cli.tables import width
from dockyard.engine.build_events import Progress
from dockyard.engine.times import moment
from dockyard.errors import Invalid


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_the_same_however_the_output_is_cut(data: bytes, cuts: list[int]) -> None:
    cutter = LineCutter()
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    lines = [text for piece in pieces for _, text in cutter.feed(piece, 0.0)] + [text for _, text in cutter.end()]
    whole = LineCutter()

    assert lines == [text for _, text in (*whole.feed(data, 0.0), *whole.end())]


def test_a_line_that_never_ends_is_cut_and_not_kept_in_memory() -> None:
    cutter = LineCutter()
    lines = [text for _ in range(3) for _, text in cutter.feed(b"x" * LONGEST, 1.0)]

    assert [len(line) for line in lines] == [LONGEST, LONGEST]
    assert [len(text) for _, text in cutter.end()] == [LONGEST]


def test_a_line_has_the_time_when_it_began() -> None:
    cutter = LineCutter()

    assert list(cutter.feed(b"a\nb", 1.0)) == [(1.0, "a")]
    assert list(cutter.feed(b"c\n", 2.0)) == [(1.0, "bc")]


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]0;31mKAhH?\x07\\\x9b\u202e")), max_size=60))
def test_output_never_drives_the_terminal(text: str) -> None:
    kept = coloured(text)
    for code in ("\x1b[0m", "\x1b[31m"):
        kept = kept.replace(code, "")
    kept = re.sub(r"\x1b\[[0-9;:]*m", "", kept)

    assert not [char for char in kept + uncoloured(text) if category(char) in ("Cc", "Zl", "Zp") and char != "\t"]
    assert "\u202e" not in kept + uncoloured(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[31mred", "\x1b[31mred\x1b[0m"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("a\tb", "a\tb"),
        ("bell\x07", "bell\\x07"),
        ("\x1b", "\\x1b"),
        ("é", "é"),
    ],
)
def test_colours_stay_and_end_with_their_line(text: str, shown: str) -> None:
    assert coloured(text) == shown


def test_times_and_sizes_are_buildkits() -> None:
    assert [stamp(seconds) for seconds in (0.1234, 12.345, 123.45)] == ["0.123", "12.35", "123.5"]
    assert [fixed_size(size) for size in (0, 999, 1000, 3_623_807, 10**9)] == [
        "0B", "999B", "1.00kB", "3.62MB", "1.00GB",
    ]  # fmt: skip


def test_one_vertex_speaks_at_a_time_and_who_ends_is_heard_at_once() -> None:
    out = io.StringIO()
    with Plain(out) as show:
        show(event(1, "a", Progress.STARTED, 0.0))
        show(event(2, "b", Progress.STARTED, 0.0))
        show(said(2, "b", 0.1, b"b says\n"))
        show(said(1, "a", 0.2, b"a says\n"))
        show(event(2, "b", Progress.DONE, 0.3))
        show(said(1, "a", 0.4, b"a goes on\n"))
        show(event(1, "a", Progress.DONE, 0.5))

    assert out.getvalue().splitlines() == [
        "#1 a", "#1 0.200 a says", "#1 ...", "",
        "#2 b", "#2 0.100 b says", "#2 DONE 0.3s", "",
        "#1 a", "#1 0.400 a goes on", "#1 DONE 0.5s",
    ]  # fmt: skip


def test_nobody_holds_the_floor_while_another_waits_for_long() -> None:
    out = io.StringIO()
    with Plain(out) as show:
        show(event(1, "a", Progress.STARTED, 0.0))
        show(event(2, "b", Progress.STARTED, 0.0))
        show(said(2, "b", 4.0, b"b waits\n"))
        assert "b waits" not in out.getvalue()
        show(said(2, "b", 5.0, b"b is heard\n"))

    assert "#2 b\n#2 4.000 b waits\n#2 5.000 b is heard\n" in out.getvalue()


def test_a_download_is_told_in_steps_not_in_pieces() -> None:
    out = io.StringIO()
    with Plain(out) as show:
        show(event(1, "pull", Progress.STARTED, 0.0))
        for step in range(1001):
            show(event(1, "pull", Progress.STATUS, step / 1000, "layer", current=step, total=1000))
        show(event(1, "pull", Progress.DONE, 1.0))
    lines = [line for line in out.getvalue().splitlines() if "layer" in line]

    assert len(lines) < 25
    assert lines[-1] == "#1 layer 1.00kB / 1.00kB 1.0s done"


def test_the_output_of_what_failed_is_said_again_but_not_all_of_it() -> None:
    out = io.StringIO()
    with Plain(out) as show:
        show(event(1, MAKE, Progress.STARTED, 0.0))
        show(said(1, MAKE, 0.1, b"".join(b"%d\n" % line for line in range(1000))))
        show(event(1, MAKE, Progress.FAILED, 0.2, "exit code: 1"))
    ending = out.getvalue().partition("#1 ERROR: exit code: 1\n")[2].splitlines()

    assert ending[:2] == ["------", f" > {MAKE}:"]
    assert ending[2:-1] == [f"0.100 {line}" for line in range(990, 1000)]


@pytest.mark.parametrize("kind", ["plain", "quiet", "rawjson"])
def test_a_stream_that_is_gone_is_no_reason_to_fail(kind: str) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    with build_progress(kind, Gone()) as show:
        for told in FAILURE:
            show(told)


def test_a_terminal_that_is_gone_ends_the_painting_and_nothing_else() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    with Terminal(Gone(), lambda: os.terminal_size((80, 24)), frame=0.001) as show:
        for told in SUCCESS:
            show(told)
        show._thread.join(5)

    assert not show._thread.is_alive()


def test_on_a_terminal_the_block_is_painted_over_itself() -> None:
    screen = Screen()
    with Terminal(screen, screen.size, frame=0.001) as show:
        for told in SUCCESS:
            show(told)
            time.sleep(0.003)
    shown = screen.shown()

    assert shown[0].startswith("[+] Building")
    assert shown[0].endswith("(5/5) FINISHED")
    assert sum(line.startswith(" => ") and not line.startswith((" => => ", " => WARN")) for line in shown) == 5
    assert shown[-2:] == [" 1 warning found:", " - One or more build-args [WHO] were not consumed"]


def test_on_a_small_terminal_what_runs_stays_in_sight() -> None:
    trace = Trace(10)
    for number in range(1, 31):
        trace.note(event(number, f"step {number}", Progress.STARTED, 0.0))
        if number != 3:
            trace.note(event(number, f"step {number}", Progress.DONE, 1.0))
    rows = [row.text for row in rows_of(trace, 1002.0, 60, 8)]

    assert len(rows) == 7
    assert rows[0] == "[+] Building 2.0s (29/30)"
    assert rows[1].startswith(" => step 3 ")
    assert rows[-1].startswith(" => step 30 ")


@given(
    st.integers(1, 150),
    st.integers(3, 40),
    st.text(max_size=30),
    st.lists(st.tuples(st.integers(1, 12), st.binary(max_size=30)), max_size=20),
)
def test_the_block_fits_its_terminal(columns: int, lines: int, name: str, output: list[tuple[int, bytes]]) -> None:
    trace = Trace(10)
    for number in range(1, 13):
        trace.note(event(number, name, Progress.STARTED, 0.0))
    for number, data in output:
        trace.note(said(number, name, 1.0, data + b"\n"))
    rows = rows_of(trace, 1002.0, columns, lines)

    assert len(rows) < lines
    assert all(width(row.text) <= max(columns - 1, 1) for row in rows)
    assert not [char for row in rows for char in row.text if category(char) in ("Cc", "Zl", "Zp")]


def test_json_is_an_object_a_line_from_which_a_program_can_follow_each_vertex() -> None:
    out = io.StringIO()
    with RawJson(out, lambda: 1_700_000_000.0) as show:
        for told in FAILURE:
            show(told)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    last = {vertex["digest"]: vertex for line in lines for vertex in line.get("vertexes", [])}
    named = {item["vertex"] for line in lines for item in (*line.get("logs", []), *line.get("statuses", []))}

    assert named <= set(last)
    assert all(moment(vertex["started"]) <= moment(vertex["completed"]) for vertex in last.values())
    assert [vertex["error"] for vertex in last.values() if "error" in vertex][1] == "context canceled"


def test_quiet_says_nothing_unless_something_fails() -> None:
    out = io.StringIO()
    with Quiet(out) as show:
        for told in SUCCESS:
            show(told)

    assert out.getvalue() == ""


def test_the_display_fits_the_stream() -> None:
    class Console(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(build_progress("auto", io.StringIO(), {"TERM": "xterm"}), Plain)
    assert isinstance(build_progress("auto", Console(), {"TERM": "dumb"}), Plain)
    assert isinstance(build_progress("auto", Console(), {"TERM": "xterm"}), Terminal)
    assert isinstance(build_progress("plain", Console(), {"TERM": "xterm"}), Plain)
    with pytest.raises(Invalid, match="needs a terminal"):
        build_progress("tty", io.StringIO(), {"TERM": "xterm"})
