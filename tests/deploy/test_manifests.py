"""The files of deploy/: valid YAML that fits the service and each other."""

import pytest
import yaml

from service.settings import read_settings
from tests.servers import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
# gunicorn's graceful_timeout; docker must kill later.
GRACE_SECONDS = 20


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_yaml_without_empty_documents(path):
    assert all(documents(path))


def test_settings_of_compose_are_the_service_s():
    redis = documents(DEPLOY / "compose.redis.yaml")[0]["services"]["carryover"]

    assert read_settings(redis["environment"]).memory.startswith("redis://")


def test_nobody_is_killed_within_the_grace_of_requests_under_way():
    compose = documents(DEPLOY / "compose.yaml")[0]["services"]["carryover"]

    assert int(compose["stop_grace_period"].rstrip("s")) > GRACE_SECONDS


def test_compose_and_pods_run_redis_alike():
    compose = documents(DEPLOY / "compose.redis.yaml")[0]["services"]["redis"]
    pods = DEPLOY / "kubernetes" / "overlays" / "redis" / "redis.yaml"
    [redis] = [o for o in documents(pods) if o["kind"] == "StatefulSet"]
    [container] = redis["spec"]["template"]["spec"]["containers"]

    assert compose["image"] == container["image"]
    assert compose["command"][1:] == container["args"]
    assert "noeviction" in compose["command"]
