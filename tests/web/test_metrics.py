"""Counting in several processes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dockyard.web.metrics import METHODS, ROUTES, STATUSES, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (item.name, *(item.labels[label] for label in sorted(item.labels))): item.value
        for family in families
        for item in family.samples
    }


def test_workers_of_one_server_show_the_sum_of_all(tmp_path: Path) -> None:
    first, second = Metrics(tmp_path), Metrics(tmp_path)
    first.count("GET", "manifest", 200, 0.002)
    first.moved(10, 20)
    second.count("GET", "manifest", 200, 70.0)
    second.moved(1, 2)

    assert samples(first) == samples(second)
    assert samples(first)["dockyard_http_requests_total", "GET", "manifest", "200"] == 2
    assert samples(first)["dockyard_http_received_bytes_total",] == 11
    assert samples(first)["dockyard_http_sent_bytes_total",] == 22
    assert samples(first)["dockyard_http_answer_seconds_sum", "manifest"] == 70.002
    assert samples(first)["dockyard_http_answer_seconds_bucket", "0.005", "manifest"] == 1
    assert samples(first)["dockyard_http_answer_seconds_bucket", "60.0", "manifest"] == 1
    assert samples(first)["dockyard_http_answer_seconds_bucket", "+Inf", "manifest"] == 2
    assert samples(first)["dockyard_http_answer_seconds_count", "manifest"] == 2


def test_what_has_no_series_of_its_own_is_counted_as_other() -> None:
    metrics = Metrics(None)
    metrics.count("BREW", "base", 418, 0.0)

    assert samples(metrics)["dockyard_http_requests_total", "other", "base", "other"] == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(METHODS), st.sampled_from(ROUTES), st.sampled_from(STATUSES), st.floats(0, 100)),
        max_size=50,
    )
)
def test_no_request_is_lost_or_counted_twice(requests: list[tuple[str, str, int, float]]) -> None:
    metrics = Metrics(None)
    for request in requests:
        metrics.count(*request)
    found = samples(metrics)

    for method, route, status, _ in requests:
        expected = sum((method, route, status) == other[:3] for other in requests)
        assert found["dockyard_http_requests_total", method, route, str(status or "other")] == expected
    assert sum(value for key, value in found.items() if key[0] == "dockyard_http_answer_seconds_count") == len(requests)
