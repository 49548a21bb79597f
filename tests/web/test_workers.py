"""Several workers that act as one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import Hub
from web.wire import Wire, dial, head_of, image, stamped

from dockyard.oci.digest import Digest

MIB = 1024 * 1024


@pytest.fixture
def four(start_hub: Callable[..., Hub]) -> Hub:
    return start_hub(workers=4)


@pytest.fixture
def wires(four: Hub) -> Iterator[list[Wire]]:
    """Connections enough that every worker has some."""
    opened = [Wire(four) for _ in range(16)]
    yield opened
    for wire in opened:
        wire.close()


def requests_counted(wire: Wire, **labels: str) -> float:
    families = text_string_to_metric_families(wire("GET", "/metrics").body.decode())
    samples = [sample for family in families for sample in family.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == "dockyard_http_requests_total" and labels.items() <= sample.labels.items()
    )


def test_a_hundred_requests_show_as_exactly_a_hundred(wires: list[Wire]) -> None:
    for number in range(100):
        assert wires[number % len(wires)]("GET", "/v2/").status == 200

    for wire in wires:
        assert requests_counted(wire, route="base", status="200", method="GET") == 100


def test_a_hundred_requests_at_once_show_as_exactly_a_hundred(four: Hub) -> None:
    def ask(number: int) -> int:
        with Wire(four) as wire:
            return wire("GET", f"/v2/team/app/manifests/v{number}").status

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(100))) == {404}

    with Wire(four) as wire:
        assert requests_counted(wire, route="manifest", status="404") == 100


def test_what_one_worker_acknowledged_every_worker_shows_next(wires: list[Wire]) -> None:
    writer, *readers = wires
    config = stamped()
    manifests = [image(config, [], annotations={"number": str(number)}) for number in range(2)]
    writer.push_blob("team/app", config)
    for number in range(40):
        manifest = manifests[number % 2]
        path = "/v2/team/app/manifests/moving"
        assert writer("PUT", path, manifest.raw, content_type=manifest.media_type).status == 201
        for reader in readers:
            assert reader("GET", path).body == manifest.raw

        if number % 4 == 3:
            assert writer("DELETE", path).status == 202
            for reader in readers:
                assert reader("GET", path).status == 404
                assert reader("GET", "/v2/team/app/tags/list").json["tags"] == []


def test_an_upload_goes_on_over_every_worker_and_its_bytes_are_not_read_back(four: Hub) -> None:
    # rchar counts what read() returned, from disk or from memory; bodies arrive by recv(), which it leaves out.
    chunk, count = os.urandom(16 * MIB), 64
    before = sum(worker.io_counters().read_chars for worker in four.workers())
    with Wire(four) as wire:
        location = wire.begin("team/big")
    for number in range(count):
        with Wire(four) as wire:
            start = number * len(chunk)
            answer = wire("PATCH", location, chunk, content_range=f"{start}-{start + len(chunk) - 1}")
            assert (answer.status, answer["range"]) == (202, f"0-{start + len(chunk) - 1}")
    digest = Digest.of(chunk * count)
    with Wire(four) as wire:
        put = wire("PUT", f"{location}?digest={digest}", headers={"Content-Length": "0"})
        head = wire("HEAD", f"/v2/team/big/blobs/{digest}")
    read = sum(worker.io_counters().read_chars for worker in four.workers()) - before

    assert (put.status, head["content-length"]) == (201, str(count * len(chunk)))
    assert read <= 1.1 * count * len(chunk)


def test_a_client_that_comes_back_while_its_old_connection_hangs_goes_on_within_a_second(four: Hub) -> None:
    content = os.urandom(4 * MIB)
    with Wire(four) as wire:
        location = wire.begin("team/app")
    with dial(four) as old:
        old.sendall(f"PATCH {location} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        old.sendall(content[: 2 * MIB])
        kept = four.data / "uploads" / location.rpartition("/")[2]
        while not (kept.exists() and kept.stat().st_size):
            time.sleep(0.01)  # until the old request has the session: else it would be the newer one

        began = time.monotonic()
        with Wire(four) as wire:
            standing = wire("GET", location)
            took = time.monotonic() - began
            offset = offset_of(standing["range"])
            again = wire("PATCH", location, content[offset:], content_range=f"{offset}-{len(content) - 1}")
            put = wire("PUT", f"{location}?digest={Digest.of(content)}", headers={"Content-Length": "0"})
        try:
            old.sendall(content[2 * MIB :])
            stopped = head_of(old)
        except OSError:
            stopped = "HTTP/1.1 409 "  # it was not even let finish

    assert standing.status == 204
    assert took < 1
    assert again.status == 202
    assert put.status == 201
    assert stopped.split()[1] in ("404", "409", "416")


def offset_of(header: str | None) -> int:
    """Where an upload goes on. An empty one and one of a single byte look alike; nobody here sends single bytes."""
    last = int((header or "0-0").partition("-")[2])
    return last + 1 if last else 0


def test_the_same_blob_from_many_clients_is_taken_from_all(four: Hub) -> None:
    content = os.urandom(MIB)
    digest = Digest.of(content)

    def push(number: int) -> int:
        with Wire(four) as wire:
            return wire("PUT", f"{wire.begin(f'team/app{number}')}?digest={digest}", content).status

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(push, range(24)))

    assert statuses == [201] * 24
    assert len(list(four.data.glob(f"blobs/sha256/*/{digest.hex}-*"))) == 1


def test_a_slow_reader_costs_little_memory(four: Hub) -> None:
    content = os.urandom(64 * MIB)
    with Wire(four) as wire:
        digest = wire.push_blob("team/app", content)
    peers: list[socket.socket] = []
    for number in range(8):
        peer = dial(four)
        ranged = "Range: bytes=1-\r\n" if number % 2 else ""
        peer.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: hub\r\n{ranged}\r\n".encode())
        head_of(peer)
        peers.append(peer)

    peaks = [psutil.Process(worker.pid).memory_info().rss for worker in four.workers()]
    for peer in peers:
        peer.close()

    assert max(peaks) < 200 * MIB
