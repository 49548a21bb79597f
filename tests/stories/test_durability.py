"""No acknowledgement leaves before what it acknowledges is on the disk: seen in the system calls of the hub."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from images import sha256
from traces import STRACE, SYNCS, Call, TooEarly, parse, require_durable_before
from wire import PIECE, Wire, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Hub

pytestmark = pytest.mark.slow


def put(wire: Wire, data: bytes) -> int:
    return wire.push_blob("durable", data).status


def patch_and_put(wire: Wire, data: bytes) -> int:
    location = wire.begin("durable")
    answer = wire.ask("PATCH", location, [data[start : start + PIECE] for start in range(0, len(data), PIECE)])
    return wire.ask("PUT", finished(answer.headers["Location"], sha256(data)), b"").status


def post(wire: Wire, data: bytes) -> int:
    return wire.ask("POST", finished("/v2/durable/blobs/uploads/", sha256(data)), data).status


@pytest.fixture
def traced(start_hub: Callable[..., Hub], tmp_path: Path) -> Callable[[Callable[[Wire], int]], tuple[Hub, list[Call]]]:
    """Run requests, which end in 201, against a hub under strace; return its calls."""

    def trace(requests: Callable[[Wire], int]) -> tuple[Hub, list[Call]]:
        log = tmp_path / "trace"
        hub = start_hub(workers=1, wrap=[*STRACE, "-o", log])
        with Wire(hub.host) as wire:
            assert requests(wire) == 201
        hub.stop()
        return hub, parse(log.read_text(errors="replace").splitlines())

    return trace


@pytest.mark.parametrize("push", [put, patch_and_put, post])
def test_a_blob_is_acknowledged_after_file_name_and_row_are_durable(
    traced: Callable[..., tuple[Hub, list[Call]]], push: Callable[[Wire, bytes], int]
) -> None:
    data = os.urandom(2 * PIECE + 5)
    stored = sha256(data).removeprefix("sha256:")
    hub, calls = traced(lambda wire: push(wire, data))
    order = {"stored": stored, "database": str(hub.data / "hub.db")}

    require_durable_before(calls, "HTTP/1.1 201", **order)
    assert _needed_syncs(calls, order) >= {"file", "folder", "database"}


def test_a_manifest_is_acknowledged_after_its_row_and_its_journal_record_are_durable(
    traced: Callable[..., tuple[Hub, list[Call]]],
) -> None:
    hub, calls = traced(lambda wire: wire.push_image("durable", "latest", os.urandom(1000))[0].status)
    answers = [n for n, call in enumerate(calls) if not call.path and "HTTP/1.1 201" in call.text]
    # Two blobs, then the manifest.
    of_manifest = calls[answers[1] + 1 : answers[2] + 1]
    written = [n for n, call in enumerate(of_manifest) if call.path.startswith(str(hub.data / "hub.db"))]
    record = next(n for n, call in enumerate(of_manifest) if call.target.startswith(str(hub.data / "journal/")))
    folder = of_manifest[record].target.rpartition("/")[0]

    assert of_manifest[[n for n in written if n < record][-1]].name in SYNCS
    assert any(call.name in SYNCS and call.path == of_manifest[record].path for call in of_manifest[:record])
    assert any(call.name in SYNCS and call.path == folder for call in of_manifest[record:-1])


def _needed_syncs(calls: list[Call], order: dict[str, str]) -> set[str]:
    """Which syncs the check misses when they are taken out of what was seen, one file at a time."""
    needed = set()
    paths = {call.path for call in calls if call.name in SYNCS}
    for path in paths:
        doctored = [call for call in calls if not (call.name in SYNCS and call.path == path)]
        try:
            require_durable_before(doctored, "HTTP/1.1 201", **order)
        except TooEarly:
            kind = "database" if path.startswith(order["database"]) else "folder" if "/blobs/" in path else "file"
            needed.add(kind)
    return needed
