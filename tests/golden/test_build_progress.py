"""Builds that were recorded, as each kind of progress shows them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from build_transcripts import FAILURE, SUCCESS

from dockyard.cli.build_plain import Plain
from dockyard.cli.build_progress import Quiet, RawJson
from dockyard.cli.build_trace import Trace
from dockyard.cli.build_tty import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

BUILDS = {"success": SUCCESS, "failure": FAILURE}


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("kind", ["plain", "quiet", "rawjson"])
def test_what_a_pipe_gets_is_as_it_was_read_and_found_good(
    kind: str, name: str, golden: Callable[[str, str], None]
) -> None:
    out = io.StringIO()
    display = {"plain": Plain(out), "quiet": Quiet(out), "rawjson": RawJson(out, lambda: 1_700_000_000.0)}[kind]
    with display as show:
        for event in BUILDS[name]:
            show(event)

    golden(f"progress/{kind}-{name}.txt", out.getvalue())


@pytest.mark.parametrize("name", BUILDS)
def test_what_a_terminal_shows_is_as_it_was_read_and_found_good(name: str, golden: Callable[[str, str], None]) -> None:
    trace = Trace(100)
    frames = []
    for event in BUILDS[name]:
        trace.note(event)
        frames.append("\n".join(row.painted(has_colours=False) for row in rows_of(trace, event.time, 80, 24)))
    last = rows_of(trace, BUILDS[name][-1].time + 5, 80, 0, is_last=True)
    frames.append("\n".join(row.painted(has_colours=False) for row in last))

    golden(f"progress/tty-{name}.txt", "\n\n".join(frames) + "\n")
