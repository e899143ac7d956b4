"""Writes `schemas.json`: what the kinds of deploy/kubernetes may contain.

Run it in an environment of its own, with the packages that carry the schemas:

    pip install kubernetes-validate==1.37.0 cloudcoil-models-keda==2.16.1.0 \
      cloudcoil-models-prometheus-operator==0.80.1.0
    pip download --no-deps kserve==0.21.0
    python -m tests.deploy.write_schemas kserve-0.21.0-py3-none-any.whl

All of them are licensed under Apache-2.0. Descriptions, status and unused kinds are
left out, and no object may have a field that its schema does not name. KServe's SDK
names the fields and types of its kinds; Kubernetes' own are those of Kubernetes.
"""

import ast
import json
import re
import sys
import zipfile
from importlib import import_module
from pathlib import Path

TARGET = Path(__file__).with_name("schemas.json")
VERSION = "v1.37.0-local-strict"
MODELS = "cloudcoil.models"
KINDS = {
    "apps/v1/Deployment": "io.k8s.api.apps.v1.Deployment",
    "apps/v1/StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "batch/v1/CronJob": "io.k8s.api.batch.v1.CronJob",
    "networking.k8s.io/v1/NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "policy/v1/PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "v1/ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1/PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "v1/Service": "io.k8s.api.core.v1.Service",
    "keda.sh/v1alpha1/ScaledObject": f"{MODELS}.keda.v1alpha1",
    "monitoring.coreos.com/v1/ServiceMonitor": f"{MODELS}.prometheus_operator.v1",
    "monitoring.coreos.com/v1/PrometheusRule": f"{MODELS}.prometheus_operator.v1",
    "serving.kserve.io/v1alpha1/ClusterServingRuntime": "V1alpha1ClusterServingRuntime",
    "serving.kserve.io/v1beta1/InferenceService": "V1beta1InferenceService",
}
PLAIN = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "object": {},
}
# Of KServe: predictors of other frameworks, and other parts than predictors.
KEPT = "InferenceService|Predictor|Model|ModelStorage|AutoScaling|Metrics|Logger"
LEFT_OUT = re.compile(rf"V1beta1(?!({KEPT})Spec)\w*Spec|.*WorkerSpec")
REFERENCE = re.compile(r'"\$ref": "[^"]*#/(?:definitions|[$]defs)/([^"]+)"')


def main(wheel):
    """Write the schemas of all kinds and what they refer to."""
    module = import_module("kubernetes_validate")
    folder = Path(module.__file__).parent / "kubernetes-json-schema" / VERSION
    found = json.loads((folder / "_definitions.json").read_text())["$defs"]
    found |= read_kserve(wheel, found)
    kinds = {}
    for kind, source in KINDS.items():
        if source.startswith(MODELS):
            source = add_model(found, source, kind.rpartition("/")[2])
        kinds[kind] = {"$ref": f"#/definitions/{source}"}
    needed = {}
    collect(kinds, found, needed)
    write(kinds, needed)


def add_model(found, module, name):
    """Add the JSON schema of a pydantic model; return its definition's name."""
    schema = getattr(import_module(module), name).model_json_schema(by_alias=True)
    prefix = f"{module}.{name}."
    text = json.dumps(schema).replace("#/$defs/", f"#/definitions/{prefix}")
    schema = json.loads(text)
    for key, value in schema.pop("$defs").items():
        found[prefix + key] = value
    found[prefix + name] = schema
    return prefix + name


def read_kserve(wheel, found):
    """Read the fields and types of KServe's classes, without importing them."""
    models = {}
    with zipfile.ZipFile(wheel) as archive:
        for path in archive.namelist():
            if re.match(r"kserve/models/v1(alpha1|beta1)_", path):
                tree = ast.parse(archive.read(path))
                for node in tree.body:
                    if isinstance(node, ast.ClassDef):
                        models[node.name] = read_class(node)
    return {
        name: {
            "type": "object",
            "properties": {
                names[field]: refer(kind, models, found)
                for field, kind in types.items()
                if not LEFT_OUT.fullmatch(re.sub(r"list\[(.*)\]", r"\1", kind))
            },
            "required": required,
        }
        for name, (types, names, required) in models.items()
    }


def read_class(node):
    """Return a class's types, JSON names, and the fields that it refuses as None."""
    tables = {
        entry.targets[0].id: ast.literal_eval(entry.value)
        for entry in node.body
        if isinstance(entry, ast.Assign) and isinstance(entry.value, ast.Dict)
    }
    names = tables["attribute_map"]
    source = ast.unparse(node)
    refused = re.findall(r"Invalid value for `(\w+)`, must not be `None`", source)
    required = sorted({names[field] for field in refused})
    return tables["openapi_types"], names, required


def refer(kind, models, found):
    """Return the schema of a type in the words of the OpenAPI generator."""
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": refer(match[1], models, found)}
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        inner = refer(match[1], models, found)
        return {"type": "object", "additionalProperties": inner}
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in models:
        return {"$ref": f"#/definitions/{kind}"}
    short = kind.removeprefix("V1")
    for name in (f"api.core.v1.{short}", f"apimachinery.pkg.apis.meta.v1.{short}"):
        if f"io.k8s.{name}" in found:
            return {"$ref": f"#/definitions/io.k8s.{name}"}
    return {}


def collect(schema, found, needed):
    """Add all definitions that a schema refers to."""
    for reference in REFERENCE.findall(json.dumps(schema)):
        if reference not in needed:
            needed[reference] = trim(found[reference])
            collect(needed[reference], found, needed)


def trim(schema):
    """Leave out prose, status and what only old kubectl reads; refuse other fields."""
    if isinstance(schema, list):
        return [trim(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: trim(value)
        for key, value in schema.items()
        if not (key in ("title", "description") and isinstance(value, str))
        and not key.startswith("x-kubernetes")
        and key != "default"
    }
    if isinstance(properties := kept.get("properties"), dict):
        properties.pop("status", None)
        properties.pop("managedFields", None)
        kept.setdefault("additionalProperties", False)
    if "$ref" in kept:
        kept["$ref"] = re.sub(r"^.*/", "#/definitions/", kept["$ref"])
    return kept


def write(kinds, definitions):
    """Write one kind or definition a line, so that a change can be read."""
    parts = []
    for title, table in (("kinds", kinds), ("definitions", definitions)):
        lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(table.items())]
        parts.append(f'"{title}": {{\n' + ",\n".join(lines) + "\n}")
    TARGET.write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
