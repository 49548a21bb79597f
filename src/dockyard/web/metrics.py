"""Numbers for Prometheus, the same whichever worker is asked.

Each worker counts in a file of its own, which it has mapped into memory; the one that is asked adds all files up. A
request is counted before its answer leaves, so who has the answer finds it in the numbers. Every series has its fixed
place in the file: counting is one addition, and a worker that died stays counted.
"""

from __future__ import annotations

import mmap
import os
import uuid
from bisect import bisect_left
from itertools import product
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from dockyard.web.routing import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client.core import Metric

OTHER = "other"
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", OTHER)
ROUTES = tuple(kind.value for kind in Kind)
STATUSES = (
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 413, 416, 429, 499, 500, 503, 507, 0,
)  # fmt: skip
"""Those that are counted one by one; 499 is a client that hung up, 0 any other."""
BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)

_PLACE = {key: place for place, key in enumerate(product(METHODS, ROUTES, STATUSES))}
_BUCKETS = len(_PLACE)
_WIDTH = len(BOUNDS) + 2  # one more bucket for what took longer, and the sum
_HISTOGRAM = {route: _BUCKETS + place * _WIDTH for place, route in enumerate(ROUTES)}
_RECEIVED = _BUCKETS + len(ROUTES) * _WIDTH
_SENT = _RECEIVED + 1
_COUNT = _SENT + 1


class Metrics:
    """The numbers of one worker, in a folder that all workers of a server share; without a folder, its own alone."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._values = memoryview(_mapped(folder)).cast("d")
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``seconds`` is how long its answer took to begin."""
        values = self._values
        place = _PLACE.get((method, route, status))
        if place is None:
            known = method if method in METHODS else OTHER, route, status if status in STATUSES else 0
            place = _PLACE[known]
        values[place] += 1
        first = _HISTOGRAM[route]
        values[first + bisect_left(BOUNDS, seconds)] += 1
        values[first + _WIDTH - 1] += seconds

    def moved(self, received: int, sent: int) -> None:
        """Add bytes of bodies."""
        self._values[_RECEIVED] += received
        self._values[_SENT] += sent

    def exposition(self) -> bytes:
        """The sum over all workers, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks of a collector."""
        sums = self._sums()
        requests = CounterMetricFamily(
            "dockyard_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), place in _PLACE.items():
            if sums[place]:
                requests.add_metric((method, route, str(status or OTHER)), sums[place])
        yield requests
        seconds = HistogramMetricFamily(
            "dockyard_http_answer_seconds", "Seconds until an answer began.", labels=("route",)
        )
        for route, first in _HISTOGRAM.items():
            buckets = list(_cumulated(sums[first : first + _WIDTH - 1]))
            if buckets[-1][1]:
                seconds.add_metric((route,), buckets, sums[first + _WIDTH - 1])
        yield seconds
        yield CounterMetricFamily("dockyard_http_received_bytes", "Bytes of bodies received.", value=sums[_RECEIVED])
        yield CounterMetricFamily("dockyard_http_sent_bytes", "Bytes of bodies sent.", value=sums[_SENT])

    def _sums(self) -> list[float]:
        if self._folder is None:
            return list(self._values)
        sums = [0.0] * _COUNT
        for path in self._folder.glob("*.counts"):
            with memoryview(path.read_bytes()).cast("d") as values:
                sums = [total + value for total, value in zip(sums, values, strict=True)]
        return sums


def _mapped(folder: Path | None) -> mmap.mmap:
    if folder is None:
        return mmap.mmap(-1, _COUNT * 8)
    with (folder / f"{os.getpid()}-{uuid.uuid4().hex}.counts").open("w+b") as file:
        file.truncate(_COUNT * 8)
        return mmap.mmap(file.fileno(), _COUNT * 8)


def _cumulated(counts: list[float]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        yield bound, total
