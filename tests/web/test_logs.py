"""The log: whole lines, none of them a secret, nobody held up by it."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from servers import Hub
from web.wire import Wire

from dockyard.web import logs
from dockyard.web.logs import BatchedWriter


def lines_about(hub: Hub, marker: str, count: int) -> list[dict[str, object]]:
    """The log's lines with the marker, as soon as there are ``count``."""
    deadline = time.monotonic() + 20
    found: list[dict[str, object]] = []
    while len(found) < count:
        assert time.monotonic() < deadline, f"{found} instead of {count} lines"
        text = hub.log.read_text()
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and marker in line]
    return found


def test_each_request_is_one_line_that_says_what_it_was(hub: Hub, wire: Wire, name: str) -> None:
    manifest = wire.push_image(name, "v1")
    wire("GET", f"/v2/{name}/manifests/v1", x_request_id="mine", user_agent="tester/1.0")

    [line] = lines_about(hub, '"mine"', 1)

    assert line.pop("ms") > 0  # type: ignore[operator]
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "request", "level": "info", "id": "mine", "method": "GET", "route": "manifest", "repository": name,
        "target": "v1", "status": 200, "received": 0, "sent": len(manifest.raw), "client": "127.0.0.1", "user": "",
        "agent": "tester/1.0",
    }  # fmt: skip


def test_no_secret_gets_into_the_log(hub: Hub, wire: Wire, name: str) -> None:
    canary = "canary-5f2c9e"
    headers = {"Authorization": f"Bearer {canary}", "Cookie": f"s={canary}", "X-Registry-Auth": canary}
    location = wire.begin(name)
    session = location.rpartition("/")[2]
    wire("PATCH", f"{location}?token={canary}", canary.encode(), headers, x_request_id="with-secrets")
    wire("GET", f"/v2/{name}/manifests/v1?password={canary}", None, headers, x_request_id="with-secrets")
    wire("PUT", f"/v2/{name}/manifests/v1", canary.encode(), headers, x_request_id="with-secrets")

    lines_about(hub, "with-secrets", 3)
    metrics = wire("GET", "/metrics").body.decode()

    assert canary not in hub.log.read_text() + metrics
    assert session not in hub.log.read_text() + metrics


def test_at_warning_requests_are_not_logged(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub("--log-level", "warning")
    with Wire(hub) as wire:
        wire("GET", "/v2/")

    assert hub.stop() == 0
    assert "request" not in hub.log.read_text()


def test_lines_reach_a_pipe_whole_and_in_order() -> None:
    reading, writing = os.pipe()
    writer = BatchedWriter(writing)
    sent = [f"line {number} {'x' * (number % 500)}".encode() for number in range(2000)]
    for line in sent:
        writer.write(line)
    received = b""
    while received.count(b"\n") < len(sent):
        received += os.read(reading, 65536)
    writer.close()

    assert received.splitlines() == sent


def test_a_reader_who_does_not_read_holds_up_nobody_and_learns_what_was_dropped() -> None:
    reading, writing = os.pipe()
    writer = BatchedWriter(writing)
    began = time.monotonic()
    for _ in range(logs.WAITING + 5000):
        writer.write(b"x" * 100)
    took = time.monotonic() - began
    received = b""
    while b"dropped" not in received:
        received += os.read(reading, 1024 * 1024)
    writer.close()

    assert took < 5
    assert json.loads(received.splitlines()[-1])["count"] > 0


def test_a_log_that_can_t_be_written_ends_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = BatchedWriter(writing)
    writer.write(b"nobody reads this")
    writer.close()

    assert not writer._thread.is_alive()


def test_a_person_at_a_terminal_reads_text_that_can_t_drive_it() -> None:
    reading, terminal = pty.openpty()
    writer = logs.configure("info", terminal)
    try:
        structlog.get_logger("test").info("request", agent="\x1b[2J evil", status=200)
        structlog.get_logger("test").debug("too fine")
        logging.getLogger("library").warning("from a library")
        received = b""
        while b"library\r\n" not in received:
            received += os.read(reading, 65536)
    finally:
        writer.close()
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    first, second = received.decode().splitlines()

    assert re.fullmatch(r"\d\d:\d\d:\d\d info    request  agent=\\x1b\[2J evil status=200", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning from a library  logger=library", second)
