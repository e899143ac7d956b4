"""deploy/kubernetes as kubectl renders it: of its kinds, and fitting the service."""

import json
import re

import jsonschema
import pytest
import yaml

from service.settings import read_settings
from tests.deploy.kubernetes import (
    KUBERNETES,
    OVERLAYS,
    POD_KINDS,
    SCHEMAS,
    find_objects,
    list_claims,
    of_kind,
    only,
    pod_of,
    pods,
    render,
    run_job,
    serving,
    validate,
)
from tests.servers import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CALLS = (ROOT / "docs" / "reference" / "http-v1.md").read_text()
PAGE = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
METRICS = (ROOT / "docs" / "reference" / "operations.md").read_text()
# gunicorn's graceful_timeout; Kubernetes must kill later.
GRACE_SECONDS = 20
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture(scope="module")
def rendered():
    """The objects of each overlay, by its name."""
    return {name: render(KUBERNETES / "overlays" / name) for name in OVERLAYS}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_is_of_its_kind(rendered, name):
    for found in rendered[name]:
        validate(found)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_field_that_does_not_exist_is_found(rendered, overlay):
    """The schemas refuse a misspelt field at every depth that the manifests use."""
    for found in rendered[overlay]:
        for path in find_objects(found):
            spoiled = json.loads(json.dumps(found))
            place = spoiled
            for step in path:
                place = place[step]
            place["noSuchField"] = {"no": "such field"}
            with pytest.raises(jsonschema.ValidationError):
                validate(spoiled)


def test_schemas_are_of_the_kinds_that_are_rendered(rendered):
    kinds = {
        f"{found['apiVersion']}/{found['kind']}"
        for objects in rendered.values()
        for found in objects
    }

    assert set(SCHEMAS["kinds"]) == kinds


def test_every_file_is_part_of_an_overlay():
    """A file that no kustomization names is applied by nobody."""
    for folder in {path.parent for path in KUBERNETES.rglob("*.yaml")} | {MONITORING}:
        config = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = set(config.get("resources", []))
        named |= {
            patch["path"] for patch in config.get("patches", []) if "path" in patch
        }
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        if folder == MONITORING:
            files -= {"prometheus.yaml", "rules.yaml"}  # of a Prometheus by itself
        assert files == {name for name in named if not name.startswith("..")}


def test_overlays_build_on_each_other(rendered):
    def names(overlay):
        return {(o["kind"], o["metadata"]["name"]) for o in rendered[overlay]}

    assert names("redis") == names("valkey")
    assert names("redis") < names("monitoring") < names("autoscaled")
    assert names("monitoring") < names("retraining")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_are_the_service_s(rendered, overlay):
    for container in serving(rendered[overlay]):
        environ = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        of_image = dict(re.findall(r"(CARRYOVER_\w+)=(\S+)", DOCKERFILE))

        settings = read_settings({**of_image, **environ})

        scheme = "lmdb" if overlay == "lmdb" else "redis"
        assert settings.memory.startswith(f"{scheme}://")
        # All that the service reads or writes is mounted, or part of the image.
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/data", "/tmp"} <= mounts
        assert settings.state.startswith("/data/")
        if scheme == "redis":
            assert settings.token_key_file in mounts
    assert serving(rendered[overlay])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_and_ports_are_the_service_s(rendered, overlay):
    exposed = re.search(r"^EXPOSE (\d+)", DOCKERFILE, re.M).group(1)
    for container in serving(rendered[overlay]):
        [port] = container["ports"]
        assert str(port["containerPort"]) == exposed
        for probe in PROBES:
            asked = container[probe]["httpGet"]
            assert f"GET {asked['path']}`" in CALLS
            assert asked["port"] in (port["name"], port["containerPort"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_run_unprivileged_and_mount_what_they_name(rendered, overlay):
    user = re.search(r"^USER (\d+):(\d+)", DOCKERFILE, re.M).groups()
    workloads = [o for o in rendered[overlay] if o["kind"] in POD_KINDS]
    workloads += of_kind(rendered[overlay], "ClusterServingRuntime")
    for workload in workloads:
        pod = pod_of(workload)
        [container] = pod["containers"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes |= {claim["metadata"]["name"] for claim in claims}
        context = {**pod.get("securityContext", {}), **container["securityContext"]}

        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert context["runAsNonRoot"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        if container["image"].startswith("carryover"):
            assert user == (str(context["runAsUser"]), str(context["runAsGroup"]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_claims_secrets_and_selectors_find_what_they_name(rendered, overlay):
    objects = rendered[overlay]
    claims = {o["metadata"]["name"] for o in of_kind(objects, "PersistentVolumeClaim")}
    labels = [
        o["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for o in of_kind(objects, kind)
    ]
    for pod in pods(objects):
        for volume in pod.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or claim in claims
            secret = volume.get("secret", {}).get("secretName")
            assert secret in (None, "carryover-token-keys")
    for service in of_kind(objects, "Service"):
        assert service["spec"]["selector"] in labels
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        for found in of_kind(objects, kind):
            assert found["spec"]["selector"]["matchLabels"] in labels


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_is_killed_within_the_grace_of_requests_under_way(rendered, overlay):
    objects = rendered[overlay]
    if overlay == "kserve":
        limit = only(objects, "InferenceService")["spec"]["predictor"]
    else:
        limit = pod_of(only(objects, "Deployment"))
    for container in serving(objects):
        waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert limit["terminationGracePeriodSeconds"] > waits + GRACE_SECONDS


def test_one_replica_on_lmdb_stops_before_the_next_starts(rendered):
    deployment = only(rendered["lmdb"], "Deployment")

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    [data] = [v for v in pod_of(deployment)["volumes"] if v["name"] == "data"]
    assert set(data) == {"name", "persistentVolumeClaim"}


@pytest.mark.parametrize("overlay", ["redis", "valkey"])
def test_two_replicas_share_a_store_that_refuses_instead_of_evicting(rendered, overlay):
    objects = rendered[overlay]
    deployment, store = only(objects, "Deployment"), only(objects, "StatefulSet")
    [container] = pod_of(store)["containers"]
    policy = only(objects, "NetworkPolicy")["spec"]
    [rule] = policy["ingress"]

    assert deployment["spec"]["replicas"] == 2
    assert only(objects, "PodDisruptionBudget")["spec"]["minAvailable"] == 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert overlay in container["image"]
    assert container["readinessProbe"]["exec"]["command"] == [f"{overlay}-cli", "ping"]
    assert "noeviction" in container["args"]
    assert rule["from"] == [{"podSelector": deployment["spec"]["selector"]}]
    assert policy["podSelector"] == store["spec"]["selector"]


def test_monitoring_is_made_of_the_files_of_deploy_monitoring(rendered):
    objects = rendered["monitoring"]
    [dashboard] = of_kind(objects, "ConfigMap")
    rule, monitor = only(objects, "PrometheusRule"), only(objects, "ServiceMonitor")
    rules = yaml.safe_load((MONITORING / "rules.yaml").read_text())
    [endpoint] = monitor["spec"]["endpoints"]
    [service] = [
        o for o in of_kind(objects, "Service") if o["metadata"]["name"] == "carryover"
    ]

    text = (MONITORING / "dashboard.json").read_text()
    assert dashboard["data"] == {"dashboard.json": text}
    assert rule["spec"] == rules, "copy the groups of rules.yaml"
    assert f"`GET {endpoint['path']}`" in CALLS
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    # The rules and the queries name the job; the operator takes it from this label.
    label = monitor["spec"]["jobLabel"]
    assert service["metadata"]["labels"][label] == "carryover"


@pytest.mark.parametrize("overlay", ["autoscaled", "kserve"])
def test_replicas_follow_a_metric_of_the_service(rendered, overlay):
    objects = rendered[overlay]
    if overlay == "kserve":
        spec = only(objects, "InferenceService")["spec"]["predictor"]
        [metric] = spec["autoScaling"]["metrics"]
        query = metric["external"]["metric"]["query"]
        bounds = spec["minReplicas"], spec["maxReplicas"]
    else:
        spec = only(objects, "ScaledObject")["spec"]
        [trigger] = spec["triggers"]
        query = trigger["metadata"]["query"]
        bounds = spec["minReplicaCount"], spec["maxReplicaCount"]
        deployment = only(objects, "Deployment")
        assert spec["scaleTargetRef"] == {"name": deployment["metadata"]["name"]}
        assert "replicas" not in deployment["spec"]  # nobody else sets them

    name = re.search(r"carryover_\w+", query).group()
    assert f"| `{name}` | gauge |" in METRICS
    assert bounds == (2, 10)


def test_retraining_waits_for_events_and_then_runs_the_command_of_this_version(
    rendered, tmp_path
):
    nothing = run_job(rendered, tmp_path)
    captured = tmp_path / "captured" / "tickets"
    captured.mkdir(parents=True)
    (captured / ".0.jsonl.partial").touch()
    unfinished = run_job(rendered, tmp_path)
    (captured / "0.jsonl").touch()
    (tmp_path / "models").mkdir()
    # Its own parser refuses an option that is not one; the model does not exist.
    without_model = run_job(rendered, tmp_path)

    assert [done.returncode for done in (nothing, unfinished)] == [0, 0]
    assert nothing.stdout == "no captured events of tickets yet\n"
    assert without_model.returncode != 0
    assert "usage" not in without_model.stderr
    assert f"{tmp_path}/models/tickets has no version yet" in without_model.stderr


def test_retraining_gets_events_and_publishes_where_the_service_watches(rendered):
    objects = rendered["retraining"]
    job = pod_of(only(objects, "CronJob"))
    replica = pod_of(only(objects, "Deployment"))
    claims = {
        o["metadata"]["name"]: o["spec"]["accessModes"]
        for o in of_kind(objects, "PersistentVolumeClaim")
    }
    [service] = serving(objects)
    [training] = job["containers"]
    environ = {entry["name"]: entry["value"] for entry in service["env"]}
    written, read = list_claims(replica), list_claims(job)

    # (claim, path, whether it may be written) of the service and of the job.
    assert written == {
        ("carryover-models", "/models", False),
        ("carryover-captured", environ["CARRYOVER_CAPTURE_FOLDER"], True),
        ("carryover-state", "/data/state", True),
    }
    assert read == {
        ("carryover-models", "/models", True),
        ("carryover-captured", "/captured", False),
        ("carryover-runs", "/runs", True),
    }
    # What two pods mount, on several nodes.
    for claim, _, _ in written:
        assert claims[claim] == ["ReadWriteMany"]
    assert claims.keys() == {claim for claim, _, _ in written | read}
    settings = read_settings(environ)
    assert settings.watch_seconds > 0
    [model] = [e["value"] for e in training["env"] if e["name"] == "MODEL"]
    assert set(settings.capture) == {model}
    # The same user writes and reads; nothing that has to outlive a pod is in it.
    assert job["securityContext"] == replica["securityContext"]
    empty = {
        v["name"] for v in [*job["volumes"], *replica["volumes"]] if "emptyDir" in v
    }
    assert empty == {"tmp", "data"}


def test_kserve_runs_the_runtime_on_what_it_has_downloaded(rendered):
    runtime = only(rendered["kserve"], "ClusterServingRuntime")
    service = only(rendered["kserve"], "InferenceService")
    [container] = pod_of(runtime)["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    model = service["spec"]["predictor"]["model"]
    [known] = runtime["spec"]["supportedModelFormats"]

    assert container["name"] == "kserve-container"
    # KServe's storage initializer writes there.
    assert environ["CARRYOVER_MODELS"] == "/mnt/models"
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == known["name"]
    assert runtime["spec"]["protocolVersions"] == ["v1", "v2"]


def test_image_of_retraining_is_a_target_of_the_dockerfile(rendered):
    [container] = pod_of(only(rendered["retraining"], "CronJob"))["containers"]
    name = container["image"].partition(":")[0]

    assert f"docker build -t {name} --target training ." in PAGE
    assert re.search(r"^FROM \w+ AS training$", DOCKERFILE, re.M)
