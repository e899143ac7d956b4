"""The files of deploy/: valid YAML that fits the service and each other."""

import re

import pytest
import yaml

from service.settings import read_settings
from tests.servers import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
# gunicorn's graceful_timeout; docker must kill later.
GRACE_SECONDS = 20


class Loader(yaml.SafeLoader):
    """Reads Compose's own tag, which empties what an earlier file says."""


Loader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def documents(path):
    return list(yaml.load_all(path.read_text(), Loader))


def compose(name):
    [document] = documents(DEPLOY / f"compose{name}.yaml")
    return document["services"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_yaml_without_empty_documents(path):
    assert all(documents(path))


def test_settings_of_compose_are_the_service_s():
    redis = compose(".redis")["carryover"]

    assert read_settings(redis["environment"]).memory.startswith("redis://")


def test_image_writes_to_its_volume_alone():
    """All under var/ by default is in the volume: the root is read-only."""
    text = (ROOT / "Dockerfile").read_text()
    environ = dict(re.findall(r"(CARRYOVER_\w+)=(\S+)", text))
    written = [
        name
        for name, default in vars(read_settings({})).items()
        if re.search(r"(^|://)var/", str(default))
    ]

    assert len(written) >= 4
    for name in written:
        path = environ[f"CARRYOVER_{name.upper()}"].removeprefix("lmdb://")
        assert path.startswith("/data/"), name
    assert re.search(r"^VOLUME /data$", text, re.M)


def test_nobody_is_killed_within_the_grace_of_requests_under_way():
    service = compose("")["carryover"]

    assert int(service["stop_grace_period"].rstrip("s")) > GRACE_SECONDS


def test_compose_and_pods_run_redis_alike():
    alone = compose(".redis")["redis"]
    pods = DEPLOY / "kubernetes" / "overlays" / "redis" / "redis.yaml"
    [redis] = [o for o in documents(pods) if o["kind"] == "StatefulSet"]
    [container] = redis["spec"]["template"]["spec"]["containers"]

    assert alone["image"] == container["image"]
    assert alone["command"][1:] == container["args"]
    assert compose(".valkey")["redis"]["command"][1:] == container["args"]
    assert "noeviction" in alone["command"]


@pytest.mark.parametrize("name", ["", ".redis", ".valkey", ".proxy", ".monitoring"])
def test_compose_mounts_files_that_exist(name):
    for service in compose(name).values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                source, target, _ = volume.split(":")
                # The certificate is the operator's own.
                assert (DEPLOY / source).exists() or source == "./proxy/tls"
                assert target.startswith("/")


def test_every_compose_file_says_how_it_is_run():
    for path in DEPLOY.glob("compose*.yaml"):
        text = path.read_text().replace("\\\n#", "")
        named = re.search(r"docker compose ((?:-f \S+\s+)+)up", text)
        files = named.group(1).replace("-f", "").split()
        assert f"deploy/{path.name}" in files
        assert all((DEPLOY.parent / file).is_file() for file in files)


def test_replicas_are_reached_by_the_proxy_alone():
    carryover, proxy = compose(".proxy")["carryover"], compose(".proxy")["proxy"]
    config = (DEPLOY / "proxy" / "nginx.conf").read_text()

    assert carryover["ports"] == []
    assert carryover["deploy"]["replicas"] == 2
    assert "server carryover:8080;" in config
    for port in proxy["ports"]:
        assert f"listen {port.rpartition(':')[2]} ssl;" in config
