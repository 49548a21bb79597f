"""Fifty clients push the same blob at once: each is thanked, and it is kept once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from images import sha256
from wire import PIECE, Wire, finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

CLIENTS = 50


def push_at_the_same_moment(host: str, repositories: list[str], data: bytes) -> list[tuple[int, str | None]]:
    """Half of the clients stream a PATCH and end it with a PUT, half send one PUT; all answers come at once."""
    begun, last = Barrier(len(repositories)), Barrier(len(repositories))

    def push(number: int) -> tuple[int, str | None]:
        with Wire(host) as wire:
            location = wire.begin(repositories[number])
            begun.wait()
            if number % 2:
                pieces = (data[start : start + PIECE] for start in range(0, len(data), PIECE))
                patched = wire.ask("PATCH", location, pieces)
                assert patched.status == 202, patched
                location, body = patched.headers["Location"], b""
            else:
                body = data
            last.wait()
            answer = wire.ask("PUT", finished(location, sha256(data)), body)
            return answer.status, answer.headers["Docker-Content-Digest"]

    with ThreadPoolExecutor(len(repositories)) as clients:
        return list(clients.map(push, range(len(repositories))))


@pytest.mark.slow
@pytest.mark.parametrize("names", [["shared"] * CLIENTS, [f"of/{n}" for n in range(CLIENTS)]], ids=["one", "many"])
def test_fifty_clients_push_the_same_blob_and_each_gets_201(start_hub: Callable[..., Hub], names: list[str]) -> None:
    hub, data = start_hub(), os.urandom(3 * PIECE + 17)

    answers = push_at_the_same_moment(hub.host, names, data)

    assert answers == [(201, sha256(data))] * CLIENTS
    with Wire(hub.host) as wire:
        for name in set(names):
            assert wire.hash(f"/v2/{name}/blobs/{sha256(data)}") == (200, sha256(data), len(data))
    kept = [path for path in (hub.data / "blobs").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in kept] == [len(data)]
    assert not [path for path in (hub.data / "uploads").iterdir() if path.is_file()]
