"""The metrics, log fields and health calls that docs/reference/operations.md lists."""

import json
import re

import pytest
from prometheus_client.metrics import MetricWrapperBase as Metric

from service.server.accepting import HEALTH
from service.telemetry import engine_metrics, metrics, traffic_metrics
from tests.servers import ROOT

TEXT = (ROOT / "docs" / "reference" / "operations.md").read_text()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def table(heading):
    """The rows of the table under a heading, without its head."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][2:]


def test_every_metric_is_listed_with_its_labels_and_meaning():
    modules = {**vars(metrics), **vars(engine_metrics), **vars(traffic_metrics)}
    made = [each for each in modules.values() if isinstance(each, Metric)]
    names = {
        family.name
        for family in metrics.REGISTRY.collect()
        if family.name.startswith("carryover_")
    }

    families = [next(iter(metric.describe())) for metric in made]
    listed = []
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        listed.append([f"`{name}`", family.type, family.documentation])
    assert {family.name for family in families} == names
    rows = table("Metrics")
    assert [[name, kind, text] for name, kind, _, text in rows] == listed
    for metric, (*_, shown, _) in zip(made, rows, strict=True):
        labels = re.findall("`(.+?)`", shown)
        assert not {"session", "tenant"} & {*labels}
        assert has_labels(metric, labels)


def has_labels(metric, labels):
    """Return whether a metric has just these labels."""
    if not labels:  # then it has a value from the start
        samples = next(iter(metric.collect())).samples
        return bool(samples) and not {n for s in samples for n in s.labels} - {"le"}
    try:
        metric.labels(**dict.fromkeys(labels, "x"))
    except ValueError:
        return False
    metric.remove(*["x"] * len(labels))
    return True


def test_every_field_of_a_log_line_is_listed_in_its_order(client, caplog):
    with caplog.at_level("INFO", logger="service.api.access_log"):
        client.get("/v1/models", headers={"traceparent": TRACE})

    line = json.loads(caplog.records[-1].message)
    assert [name for name, _ in table("Log")] == [f"`{name}`" for name in line]


@pytest.mark.parametrize("path", [row[0] for row in table("Health")])
def test_health_is_where_it_is_said_to_be(client, path):
    method, address = re.fullmatch(r"`(GET) (.*)`", path).groups()

    assert client.open(address, method=method).status_code == 200


def test_settings_of_the_limits_are_settings():
    from service.settings import TABLE

    known = {f"CARRYOVER_{setting.name.upper()}" for setting in TABLE}
    assert set(re.findall(r"CARRYOVER_[A-Z_]+", TEXT)) <= known


def test_rows_under_way_are_counted_and_forgotten(predict, model, client):
    values = []

    def ask():
        text = client.get("/metrics").get_data(as_text=True)
        values.append(re.search(r"^carryover_queued_rows (.*)$", text, re.M)[1])

    model.runtime.before_return = ask

    predict(["red"], ["green"])

    assert values == ["2.0"]
    model.runtime.before_return = lambda: None
    ask()
    assert values == ["2.0", "0.0"]


def test_every_health_call_has_reserved_connections(client):
    rules = client.application.url_map.iter_rules()
    health = [rule.rule for rule in rules if rule.endpoint.startswith("health.")]

    assert health
    assert all(rule.startswith(HEALTH) for rule in health)
