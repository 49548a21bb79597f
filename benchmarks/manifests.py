"""Manifest GETs over 16 kept connections, of 1,000 tags in 100 repositories; a writer moves 10 tags a second."""

from __future__ import annotations

import functools
import hashlib
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from running import REGISTRIES, AccountsHub, Nginx
from samples import Samples, Work

if TYPE_CHECKING:
    from running import Running

GETS = Work("manifest GETs, 16 connections, while 10 tags a second move", unit="/s")
MOVES = Work("moving one tag, meanwhile (durable with us)")
CLIENT = Work("wrk itself, cores used", unit="cores")
SERVER = Work("the server, cores used", unit="cores")
WRONG = Work("answers other than 200, in all runs together", unit="")

ACCOUNTS = "dockyard with accounts"
"""Our registry where each request shows a ticket of the token service."""

REPOSITORIES, TAGS, CONNECTIONS, MOVES_A_SECOND = 100, 10, 16, 10
BYTES = "application/octet-stream"
TYPE = "application/vnd.oci.image.manifest.v1+json"
SCRIPT = Path(__file__).with_name("manifests.lua")


def manifest(repository: int, tag: int, version: int, config: bytes, layer: bytes) -> bytes:
    """A manifest like a small image's, another for each tag and version."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": TYPE,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
            "annotations": {"org.opencontainers.image.version": f"{repository}.{tag}.{version}"},
        }
    ).encode()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Client:
    """One kept connection to a registry."""

    def __init__(self, server: Running) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.headers = functools.cache(server.headers)

    def ask(self, method: str, path: str, status: int, body: bytes = b"", type: str = BYTES) -> str:
        """Send a request that has to be answered with ``status``; return its Location."""
        repository = "/".join(path.split("/")[2:4])
        self.connection.request(method, path, body, {"Content-Type": type} | self.headers(repository))
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != status:
            sys.exit(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return response.headers.get("Location", "")

    def put(self, repository: int, tag: int, version: int) -> None:
        """Let a tag mean the manifest of that version."""
        path = f"/v2/bench/repo{repository}/manifests/tag{tag}"
        self.ask("PUT", path, 201, manifest(repository, tag, version, b"{}", _layer(repository)), TYPE)


def _layer(repository: int) -> bytes:
    return f"layer of {repository}".encode()


def fill(server: Running) -> None:
    """Push the 1,000 tags."""

    def repository(number: int) -> None:
        client = Client(server)
        for content in (b"{}", _layer(number)):
            location = client.ask("POST", f"/v2/bench/repo{number}/blobs/uploads/", 202)
            separator = "&" if "?" in location else "?"
            client.ask("PUT", f"{location}{separator}digest={_digest(content)}", 201, content)
        for tag in range(TAGS):
            client.put(number, tag, 0)
        client.connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repository, range(REPOSITORIES)))


class Mover:
    """Moves ten tags a second until told to end; keeps how long each took."""

    def __init__(self, server: Running) -> None:
        self.client = Client(server)
        self.took: list[float] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._move)

    def _move(self) -> None:
        begin = time.monotonic()
        for number in itertools.count():
            if self.ended.wait(max(0, begin + number / MOVES_A_SECOND - time.monotonic())):
                return
            start = time.perf_counter()
            self.client.put(number * 37 % REPOSITORIES, number % TAGS, number)
            self.took.append(time.perf_counter() - start)

    def __enter__(self) -> Mover:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def wrk(server: Running, seconds: int) -> tuple[float, float, int]:
    """Answers a second, how many cores wrk took for them, and how many answers were no 200."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), server.url]
    tickets = [server.headers(f"bench/repo{number}").get("Authorization", "-") for number in range(REPOSITORIES)]
    command += ["--", str(REPOSITORIES), str(TAGS), *tickets]
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, os.times()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if done.returncode or not rate or "Socket errors" in done.stdout:
        sys.exit(f"wrk failed:\n{done.stdout}{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return float(rate[1]), used / wall, int(wrong[1]) if wrong else 0


def gets(samples: Samples, rounds: int, seconds: int, work: Path) -> None:
    """All servers are filled first; one at a time is asked. nginx with a fixed answer shows what wrk can ask for."""
    kinds = REGISTRIES | {ACCOUNTS: AccountsHub}
    servers = {name: kind(work / name) for name, kind in kinds.items()}
    try:
        for name, server in servers.items():
            start = time.perf_counter()
            fill(server)
            print(f"  1,000 tags pushed to {name} in {time.perf_counter() - start:.1f} s", file=sys.stderr)

        refused = dict.fromkeys(servers, 0)

        def measure(name: str) -> float:
            os.sync()
            with Mover(servers[name]) as mover:
                before, start = servers[name].cpu(), time.perf_counter()
                rate, used, wrong = wrk(servers[name], seconds)
                samples.add(SERVER, name, (servers[name].cpu() - before) / (time.perf_counter() - start))
            samples.add(CLIENT, name, used)
            refused[name] += wrong
            samples.add(MOVES, name, sorted(mover.took)[len(mover.took) // 2])
            return rate

        samples.alternate(GETS, rounds, servers, measure)
        for name, count in refused.items():
            samples.add(WRONG, name, count)
        (work / "empty").mkdir()
        with Nginx(work / "nginx", work / "empty") as nginx:
            rate, used, _ = wrk(nginx, seconds)
            samples.add(GETS, "nginx, a fixed answer", rate)
            samples.add(CLIENT, "nginx, a fixed answer", used)
    finally:
        for server in servers.values():
            server.stop()
