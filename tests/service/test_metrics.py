"""Requests are tallied first and counted together, with the same result."""

import threading

import pytest
from prometheus_client import CollectorRegistry, Histogram

from service.telemetry import metrics
from service.telemetry.engine_metrics import SECONDS, BulkHistogram
from service.telemetry.request_record import RequestRecord
from service.telemetry.tallies import HistogramTally

OBSERVED = [0.0, 0.0004, *SECONDS, 0.3, 31.0]


def samples(registry):
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_observations_at_once_count_as_one_by_one():
    tallies = {}
    expected, registry = CollectorRegistry(), CollectorRegistry()
    single = Histogram("h", "h", buckets=SECONDS, registry=expected)
    many = BulkHistogram("h", "h", buckets=SECONDS, registry=registry)

    for seconds in OBSERVED:
        single.observe(seconds)
        metrics.add_to(tallies, a_record(seconds))
    (tally,) = tallies.values()
    many.observe_many(tally.buckets, tally.seconds)

    found, wanted = samples(registry), samples(expected)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name


def a_record(seconds):
    return RequestRecord("id", seconds, "GET", "/tallied", None, None, 2, 200, None)


def read_counter(name, **labels):
    return metrics.REGISTRY.get_sample_value(name, labels) or 0


def test_no_request_is_lost_while_others_are_counted():
    labels = {"route": "/tallied", "model": "", "version": "", "status": "200"}
    before = read_counter("carryover_requests_total", **labels, code="")

    def count_often():
        for _ in range(2000):
            metrics.count(a_record(0.001))

    threads = [threading.Thread(target=count_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.count_answered()
    metrics.count_answered()

    after = read_counter("carryover_requests_total", **labels, code="")
    assert after - before == 8000


def test_a_tally_publishes_each_observation_once():
    registry = CollectorRegistry()
    tally = HistogramTally(
        BulkHistogram("t", "t", buckets=(1, 2), registry=registry), (1, 2)
    )

    for values in ([1, 2, 3], [], [2]):
        for value in values:
            tally.add(value)
        tally.publish()

    found = samples(registry)
    assert found["t_bucket", (("le", "1.0"),)] == 1
    assert found["t_bucket", (("le", "2.0"),)] == 3
    assert found["t_count", ()] == 4
    assert found["t_sum", ()] == 8
