"""The hub is killed while people push, again and again: what it acknowledged is there and right."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import threading
from typing import TYPE_CHECKING

import pytest
from images import sha256
from wire import Wire, finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Hub

PUSHERS = 3
BITE = 64 * 1024


class Pushers:
    """Threads that push until the hub is gone. After so many ``steps`` of all of them together it is killed."""

    def __init__(self, hub: Hub, steps: int) -> None:
        self.hub = hub
        self.blobs: list[tuple[str, str]] = []
        self.manifests: list[tuple[str, str]] = []
        self._steps = steps
        self._lock = threading.Lock()
        self._enough = threading.Event()

    def run(self) -> None:
        threads = [threading.Thread(target=self._push, args=(number,)) for number in range(PUSHERS)]
        for thread in threads:
            thread.start()
        enough = self._enough.wait(120)
        self.hub.kill()
        for thread in threads:
            thread.join()
        assert enough, "the hub took no pushes"

    def _step(self) -> None:
        with self._lock:
            self._steps -= 1
            if self._steps == 0:
                self._enough.set()

    def _bites(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), BITE):
            self._step()
            yield data[start : start + BITE]

    def _push(self, number: int) -> None:
        repository = f"killed/{number}"
        with contextlib.suppress(OSError, http.client.HTTPException), Wire(self.hub.host) as wire:
            for _ in range(10_000):
                self._push_blob(wire, repository, os.urandom(random.randrange(1, 24 * BITE)))
                answer, digests = wire.push_image(repository, f"t{number}", os.urandom(random.randrange(1, BITE)))
                assert answer.status == 201, answer
                self._step()
                self.blobs += [(repository, digest) for digest in digests[:2]]
                self.manifests.append((repository, digests[2]))

    def _push_blob(self, wire: Wire, repository: str, data: bytes) -> None:
        location = wire.begin(repository)
        answer = wire.ask("PATCH", location, self._bites(data))
        assert answer.status == 202, answer
        self._step()
        answer = wire.ask("PUT", finished(answer.headers["Location"], sha256(data)), b"")
        assert answer.status == 201, answer
        self.blobs.append((repository, sha256(data)))
        self._step()


def wrong(host: str, kind: str, acknowledged: list[tuple[str, str]]) -> list[object]:
    """Those of the acknowledged that the hub does not give back as they were."""
    with Wire(host) as wire:
        answers = [(name, digest, wire.hash(f"/v2/{name}/{kind}/{digest}")) for name, digest in acknowledged]
    return [(name, digest, *seen) for name, digest, seen in answers if seen[:2] != (200, digest)]


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_what_the_hub_acknowledged_survives_kill_9(
    start_hub: Callable[..., Hub], tmp_path: Path, soak: Callable[[int, int], int]
) -> None:
    blobs: list[tuple[str, str]] = []
    manifests: list[tuple[str, str]] = []
    for _ in range(soak(100, 1000)):
        pushers = Pushers(start_hub(data=tmp_path / "hub"), steps=random.randrange(1, 120))
        pushers.run()
        blobs += pushers.blobs
        manifests += pushers.manifests
    hub = start_hub(data=tmp_path / "hub")

    assert len(blobs) > 100
    assert wrong(hub.host, "blobs", blobs) == []
    assert wrong(hub.host, "manifests", manifests) == []
    with Wire(hub.host) as wire:
        for number in range(PUSHERS):
            mine = [digest for name, digest in manifests if name == f"killed/{number}"]
            answer = wire.ask("HEAD", f"/v2/killed/{number}/manifests/t{number}")
            # One more push may have been done when the hub died before it said so.
            assert answer.status == 200 or not mine
    whole = {path.name.partition("-")[0] for path in (hub.data / "blobs").rglob("*") if path.is_file()}
    assert {digest.removeprefix("sha256:") for _, digest in blobs} <= whole
    for path in (hub.data / "blobs").rglob("*"):
        if path.is_file():
            assert sha256(path.read_bytes()) == "sha256:" + path.name.partition("-")[0]
