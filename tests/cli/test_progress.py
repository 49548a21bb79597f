from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from screen import Screen

from dockyard.cli.progress import PULL, PUSH, Bars, Lines, Meter, bar, layer_line
from dockyard.cli.tables import width
from dockyard.content.protocols import Event, Status
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest


def blob(name: str, size: int = 1000, media_type: str = media_types.OCI_LAYER_GZIP) -> Descriptor:
    return Descriptor(media_type, Digest.of(name.encode()), size)


def short(name: str) -> str:
    return Digest.of(name.encode()).hex[:12]


def test_in_a_pipe_each_step_is_a_line_and_nothing_moves() -> None:
    out = io.StringIO()
    with Lines(PUSH, out) as show:
        for status in (Status.PREPARING, Status.PREPARING, Status.WAITING, Status.MOVING, Status.DONE):
            show(Event(blob("a"), status, 500))
        show(Event(blob("b"), Status.MOUNTED, detail="team/other"))
        show(Event(blob("c"), Status.EXISTS))
        show(Event(blob("d"), Status.SKIPPED))

    assert out.getvalue().splitlines() == [
        f"{short('a')}: Preparing",
        f"{short('a')}: Waiting",
        f"{short('a')}: Pushed",
        f"{short('b')}: Mounted from team/other",
        f"{short('c')}: Layer already exists",
        f"{short('d')}: Skipped foreign layer",
    ]


def test_a_pull_says_what_dockers_says() -> None:
    out = io.StringIO()
    with Lines(PULL, out) as show:
        for status in (Status.PREPARING, Status.WAITING, Status.MOVING, Status.DONE):
            show(Event(blob("a"), status))
        show(Event(blob("b"), Status.PREPARING))
        show(Event(blob("b"), Status.EXISTS))

    assert out.getvalue().splitlines() == [
        f"{short('a')}: Pulling fs layer",
        f"{short('a')}: Download complete",
        f"{short('a')}: Pull complete",
        f"{short('b')}: Already exists",
    ]


@pytest.mark.parametrize("media_type", [media_types.OCI_CONFIG, media_types.DOCKER_CONFIG, media_types.OCI_MANIFEST])
def test_only_layers_have_a_line(media_type: str) -> None:
    out = io.StringIO()
    with Lines(PUSH, out) as show:
        show(Event(blob("config", media_type=media_type), Status.DONE))

    assert out.getvalue() == ""


def test_a_retry_says_when_and_why() -> None:
    event = Event(blob("a"), Status.RETRYING, detail="503 from \x1b[31mhub", seconds=4.6)

    assert layer_line(event, PUSH, 80) == f"{short('a')}: Retrying in 5 seconds (503 from \\x1b[31mhub)"


def test_on_a_terminal_each_layer_keeps_its_line() -> None:
    screen = Screen()
    with Bars(PUSH, screen, screen.size, frame=0.001) as show:
        show(Event(blob("a"), Status.PREPARING))
        show(Event(blob("b"), Status.PREPARING))
        show(Event(blob("a"), Status.MOVING, 500))
        show(Event(blob("b"), Status.EXISTS))
        show(Event(blob("a"), Status.DONE))

    assert screen.shown() == [f"{short('a')}: Pushed", f"{short('b')}: Layer already exists"]


def test_what_did_not_change_is_not_painted_again() -> None:
    screen = Screen()
    with Bars(PUSH, screen, screen.size, frame=0.001) as show:
        show(Event(blob("a"), Status.PREPARING))
        deadline = time.monotonic() + 5
        while not screen.writes and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        painted = screen.writes

    assert painted == 1


def test_more_layers_than_rows_are_summed_up_while_they_move_and_all_shown_at_the_end() -> None:
    screen = Screen(rows=6)
    bars = Bars(PULL, screen, screen.size)
    for number in range(20):
        bars(Event(blob(str(number)), Status.MOVING, 100))
    bars(Event(blob("0"), Status.DONE))
    bars._paint()
    live = screen.shown()
    bars._paint(last=True)

    assert len(live) == 5
    assert live[-1] == "... and 16 more layers"
    assert live[0].startswith(f"{short('1')}: Downloading")
    assert len(screen.shown()) == 20


def test_a_window_that_becomes_narrower_is_painted_clean() -> None:
    screen = Screen(columns=120)
    bars = Bars(PUSH, screen, screen.size)
    bars(Event(blob("a"), Status.MOVING, 10))
    bars._paint()
    before = screen.shown()[0]
    # What a terminal does: the long line now takes several rows, and the cursor is below them.
    rows = -(-len(before) // 30)
    screen.lines = [before[start * 30 : start * 30 + 30] for start in range(rows)] + [""]
    screen.row, screen.columns = rows, 30
    bars(Event(blob("a"), Status.MOVING, 20))
    bars._paint()

    assert len(screen.shown()) == 1
    assert screen.shown()[0].startswith(f"{short('a')}: Pushing")


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.integers(-5, 200))
def test_a_bar_never_takes_more_room_than_it_has_beyond_its_numbers(current: int, total: int, room: int) -> None:
    text = bar(current, total, room)

    assert "[" not in text or len(text) <= room


@given(st.integers(1, 10**12), st.floats(0, 1))
def test_a_bar_is_as_long_as_what_is_done(total: int, share: float) -> None:
    current = int(total * share)
    found = re.match(r"\[(=*)>( *)\]", bar(current, total, 100))

    assert found
    assert len(found[1]) == 50 * current // total
    assert len(found[1]) + len(found[2]) == 50


@given(st.sampled_from(list(Status)), st.integers(1, 150), st.text(max_size=40))
def test_a_line_is_never_wider_than_the_terminal(status: Status, columns: int, detail: str) -> None:
    text = layer_line(Event(blob("a"), status, 500, detail, 3.0), PUSH, columns)

    assert width(text) <= max(columns - 1, 1)
    assert not {category(char) for char in text} & {"Cc", "Zl", "Zp"}


def test_the_bar_reads_as_dockers() -> None:
    assert bar(12_300_000, 45_000_000, 100) == f"[{'=' * 13}>{' ' * 37}]   12.3MB/45MB"
    assert bar(5, 0, 100) == "      5B"


def test_a_terminal_that_is_gone_ends_the_painting_and_nothing_else() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    stream = Gone()
    with Bars(PUSH, stream, lambda: os.terminal_size((80, 24)), frame=0.001) as show:
        show(Event(blob("a"), Status.PREPARING))
        show._thread.join(5)
        show(Event(blob("a"), Status.DONE))

    assert not show._thread.is_alive()


def test_reading_a_file_is_metered_and_leaves_a_clean_line() -> None:
    screen = Screen()
    with Path(__file__).open("rb") as file, Meter(file, screen) as metered:
        read = metered.read(100) + metered.read()
        assert screen.shown()[0].startswith("Loading [")

    assert read == Path(__file__).read_bytes()
    assert screen.shown() == []
