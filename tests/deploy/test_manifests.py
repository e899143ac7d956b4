"""The files of deploy/: valid YAML that fits the service, the image and each other."""

import re

import pytest
import yaml

from service.settings import read_settings
from tests.servers import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
REFERENCE = (ROOT / "docs" / "reference" / "http-v1.md").read_text()
# gunicorn's graceful_timeout; docker and Kubernetes must kill later.
GRACE_SECONDS = 20


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def of_kind(kind):
    """The Kubernetes objects of a kind."""
    found = [
        document
        for path in (DEPLOY / "kubernetes").glob("*.yaml")
        for document in documents(path)
        if document["kind"] == kind
    ]
    assert found, kind
    return found


def only_container(workload):
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_yaml_without_empty_documents(path):
    assert all(documents(path))


def test_kustomization_names_every_manifest():
    [kustomization] = of_kind("Kustomization")

    manifests = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert {*kustomization["resources"], "kustomization.yaml"} == manifests


def test_selectors_find_their_pods():
    pods = [
        workload["spec"]["template"]["metadata"]["labels"]
        for workload in (*of_kind("Deployment"), *of_kind("StatefulSet"))
    ]
    services = [service["spec"]["selector"] for service in of_kind("Service")]
    budgets = [
        budget["spec"]["selector"]["matchLabels"]
        for budget in of_kind("PodDisruptionBudget")
    ]

    assert all(selector in pods for selector in services + budgets)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_mount_volumes_that_exist_and_run_unprivileged(kind):
    for workload in of_kind(kind):
        pod, container = workload["spec"]["template"]["spec"], only_container(workload)
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes |= {claim["metadata"]["name"] for claim in claims}
        mounts = {mount["name"] for mount in container["volumeMounts"]}

        assert mounts == volumes
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_redis_answers_the_service_alone():
    [policy], [deployment] = of_kind("NetworkPolicy"), of_kind("Deployment")
    [rule] = policy["spec"]["ingress"]

    assert rule["from"] == [{"podSelector": deployment["spec"]["selector"]}]


def test_settings_of_every_file_are_the_service_s():
    [deployment] = of_kind("Deployment")
    in_pod = {v["name"]: v["value"] for v in only_container(deployment)["env"]}
    redis = documents(DEPLOY / "compose.redis.yaml")[0]["services"]["carryover"]

    for environ in (in_pod, redis["environment"]):
        assert read_settings(environ).memory.startswith("redis://")


def test_probes_ask_calls_that_exist():
    [deployment] = of_kind("Deployment")
    container = only_container(deployment)

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert f"GET {container[probe]['httpGet']['path']}`" in REFERENCE


def test_two_replicas_and_one_stays():
    [deployment], [budget] = of_kind("Deployment"), of_kind("PodDisruptionBudget")

    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["minAvailable"] == 1


def test_nobody_is_killed_within_the_grace_of_requests_under_way():
    [deployment] = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    waits = int(
        only_container(deployment)["lifecycle"]["preStop"]["exec"]["command"][1]
    )
    compose = documents(DEPLOY / "compose.yaml")[0]["services"]["carryover"]

    assert pod["terminationGracePeriodSeconds"] > waits + GRACE_SECONDS
    assert int(compose["stop_grace_period"].rstrip("s")) > GRACE_SECONDS


def test_compose_and_pods_run_redis_alike():
    compose = documents(DEPLOY / "compose.redis.yaml")[0]["services"]["redis"]
    [redis] = of_kind("StatefulSet")

    assert compose["image"] == only_container(redis)["image"]
    assert compose["command"][1:] == only_container(redis)["args"]
    assert "noeviction" in compose["command"]


def test_image_and_pod_agree_on_user_and_port():
    dockerfile = (ROOT / "Dockerfile").read_text()
    [deployment] = of_kind("Deployment")
    context = deployment["spec"]["template"]["spec"]["securityContext"]
    [port] = only_container(deployment)["ports"]

    user = re.search(r"^USER (\d+):(\d+)", dockerfile, re.M).groups()
    assert user == (str(context["runAsUser"]), str(context["runAsGroup"]))
    assert f"EXPOSE {port['containerPort']}" in dockerfile
