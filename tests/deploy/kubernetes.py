"""Objects of deploy/kubernetes as kubectl renders them, and what is in them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

from tests.servers import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
SCHEMAS = json.loads(Path(__file__).with_name("schemas.json").read_text())
# Pods that Kubernetes itself starts; KServe's are of kinds of its own.
POD_KINDS = ("Deployment", "StatefulSet", "CronJob")


def render(folder):
    """Render a folder as `kubectl apply -k` would."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # A warning is about what a next version of kustomize refuses.
    assert done.stderr == ""
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects, kind):
    return [found for found in objects if found["kind"] == kind]


def only(objects, kind):
    [found] = of_kind(objects, kind)
    return found


def pod_of(workload):
    """The pod of a workload, whatever starts it."""
    spec = workload["spec"]
    if workload["kind"] == "ClusterServingRuntime":
        return spec
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]["spec"]


def pods(objects):
    kinds = (*POD_KINDS, "ClusterServingRuntime")
    return [pod_of(found) for kind in kinds for found in of_kind(objects, kind)]


def containers(objects):
    return [container for pod in pods(objects) for container in pod["containers"]]


def serving(objects):
    """The containers that run the service's own image."""
    return [c for c in containers(objects) if c["image"].startswith("carryover:")]


def validate(found):
    """Raise an error where an object is not of its kind."""
    kind = f"{found['apiVersion']}/{found['kind']}"
    schema = {**SCHEMAS["kinds"][kind], "definitions": SCHEMAS["definitions"]}
    jsonschema.Draft202012Validator(schema).validate(found)


def find_objects(value, path=()):
    """List where the objects are with fields of their own, not free names."""
    free = {"labels", "annotations", "matchLabels", "data", "selector", "metadata"}
    free |= {"limits", "requests", "nodeSelector", "emptyDir"}
    if isinstance(value, dict):
        if not path or path[-1] not in free:
            yield path
        for key, inner in value.items():
            yield from find_objects(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from find_objects(inner, (*path, index))


def run_job(rendered, folder, model="tickets"):
    """Run the job's own command, its mounts in a folder."""
    [container] = pod_of(only(rendered["retraining"], "CronJob"))["containers"]
    *shell, script = container["command"]
    assert shell == ["sh", "-c"]
    paths = "|".join(mount["mountPath"] for mount in container["volumeMounts"])
    script = re.sub(rf'(?<=[ "])({paths})\b', rf"{folder}\1", script)
    script = script.replace("python -m", f"{sys.executable} -m")
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    return subprocess.run(
        [*shell, script],
        cwd=ROOT,
        env={**os.environ, **environ, "MODEL": model},
        capture_output=True,
        text=True,
    )


def list_claims(pod):
    """List each mounted claim of a pod, its path, and whether it may be written."""
    [container] = pod["containers"]
    claims = {v["name"]: v.get("persistentVolumeClaim") for v in pod["volumes"]}
    return {
        (
            claims[mount["name"]]["claimName"],
            mount["mountPath"],
            not (mount.get("readOnly") or claims[mount["name"]].get("readOnly")),
        )
        for mount in container["volumeMounts"]
        if claims[mount["name"]]
    }
