"""Dashboard and alerts of deploy/monitoring: a real Prometheus evaluates each query."""

import json
import re
import shutil
import subprocess

import pytest
import requests
import yaml

from service.errors import CarryoverError
from tests.exported import publish_again
from tests.servers import ROOT, Server, free_port
from tests.waiting import wait_until

MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOK = (ROOT / "docs" / "how-to" / "monitor.md").read_text()
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
ALERTS = {rule["alert"]: rule["expr"] for rule in RULES}
# What a healthy service does not count.
RARE = re.compile(r'(?:code|outcome|status|route)=~?"[^"]*",? ?')
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed (Debian: apt install prometheus)",
)


@needs_prometheus
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "rules.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("check", "config", "compose.yaml"),
        ("test", "rules", "alerts.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts(tmp_path, command):
    for path in (*MONITORING.glob("*.*"), ROOT / "tests" / "deploy" / "alerts.yaml"):
        shutil.copy(path, tmp_path)
    # As compose.monitoring.yaml mounts it, next to the rules.
    shutil.copy(MONITORING / "compose" / "prometheus.yaml", tmp_path / "compose.yaml")

    done = subprocess.run(
        ["promtool", *command], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_made_to_fire_and_is_in_the_runbook():
    text = (ROOT / "tests" / "deploy" / "alerts.yaml").read_text()

    for name in ALERTS:
        assert f'alertname="{name}"' in text
        assert f"`{name}`" in RUNBOOK


def test_every_metric_is_in_the_runbook_and_every_named_one_exists():
    reference = (ROOT / "docs" / "reference" / "operations.md").read_text()
    made = set(re.findall(r"^\| `(carryover_\w+)` \|", reference, re.M))

    assert made - set(re.findall(r"carryover_\w+", RUNBOOK)) == set()
    ends = r"_(bucket|sum|count)\b"
    queries = " ".join([*PANELS.values(), *ALERTS.values(), RUNBOOK])
    named = set(re.findall(r"carryover_\w+", re.sub(ends, "", queries)))
    assert named - made - {re.sub(ends, "", name) for name in made} == set()


def test_codes_of_alerts_are_problems_of_the_service():
    codes, left = set(), [CarryoverError]
    while left:
        kind = left.pop()
        codes.add(kind.code)
        left += kind.__subclasses__()

    named = set(re.findall(r'code="(\w+)"', RUNBOOK + str(ALERTS)))
    assert named
    assert named <= codes


@pytest.fixture(scope="module")
def prometheus(exported, tmp_path_factory):
    """A Prometheus that scrapes a service with some traffic; its address."""
    home = tmp_path_factory.mktemp("monitored")
    shutil.copytree(exported[0] / "label" / "1", home / "models" / "label" / "1")
    publish_again(exported[0] / "label" / "1", home / "models", "label", 2)
    (home / "models" / "label" / "labels.json").write_text('{"stable": 1}')
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    settings = {"capture": "label=1", "capture_folder": home / "capture"}
    with Server(
        home / "models", home, runtime="litert", watch_seconds=60, **settings
    ) as server:
        on_trial = {"version": 2, "share": 1}
        traffic = {"stable": 1, "canary": on_trial | {"share": 0}, "shadow": on_trial}
        direct = requests.put(f"{server.url}/v1/models/label/traffic", json=traffic)
        assert direct.status_code == 200, direct.text
        server.predict("label", {"session": "s", "sequence": ["open"]})
        server.predict("label", ["open"], ["no such event"])
        config["global"]["scrape_interval"] = "250ms"
        [job] = config["scrape_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
        (home / "prometheus.yaml").write_text(yaml.safe_dump(config))
        shutil.copy(MONITORING / "rules.yaml", home)
        with start_prometheus(home) as url:
            yield server, url


class start_prometheus:
    """Runs a Prometheus in a folder with its configuration."""

    def __init__(self, home):
        self._home, self._address = home, f"127.0.0.1:{free_port()}"

    def __enter__(self):
        command = [
            "prometheus",
            f"--config.file={self._home}/prometheus.yaml",
            f"--storage.tsdb.path={self._home}/tsdb",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
        ]
        with (self._home / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._is_ready, (self._home / "prometheus.log").read_text)
        return f"http://{self._address}"

    def _is_ready(self):
        try:
            return requests.get(f"http://{self._address}/-/ready", timeout=60).ok
        except requests.ConnectionError:
            return False

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)


def evaluate(url, query):
    """Evaluate a query; nothing while Prometheus starts."""
    try:
        answer = requests.get(f"{url}/api/v1/query", {"query": query}, timeout=10)
    except requests.ConnectionError:
        return []
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def find_empty(url, queries):
    return {name: query for name, query in queries.items() if not evaluate(url, query)}


@needs_prometheus
@pytest.mark.server
@pytest.mark.tensorflow
def test_every_query_returns_data_from_a_running_service(prometheus):
    server, url = prometheus
    queries = {
        name: query.replace("$model", ".*").replace("$__rate_interval", "1m")
        for name, query in PANELS.items()
    }
    for name, query in ALERTS.items():
        # The left side of the comparison, of series that a healthy service has.
        left = RARE.sub("", re.split(r" [<>] ", query)[0]).replace("{}", "")
        queries[name] = left

    def answers_all():
        server.predict("label", {"session": "s", "sequence": ["open"]})
        server.predict("label", ["no such event"], ["open"])
        return not find_empty(url, queries)

    wait_until(answers_all, lambda: find_empty(url, queries), every=0.1)


@needs_prometheus
@pytest.mark.server
@pytest.mark.tensorflow
def test_no_alert_is_raised_by_a_healthy_service(prometheus):
    _, url = prometheus

    rules = requests.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]

    assert [rule["health"] for rule in rules[0]["rules"]].count("err") == 0
    assert {rule["name"] for rule in rules[0]["rules"]} == set(ALERTS)
    assert not evaluate(url, 'ALERTS{alertstate="firing"}')
