"""A manifest with anything else in any of its places harms nothing that is served.

The places are those of a real manifest, found by walking it, so that what an export
writes later is tried too.
"""

import copy
import json
import random
import shutil

import pytest

from service.app import build_services, create_app
from service.registry.artifact import MANIFEST
from service.settings import read_settings

pytestmark = pytest.mark.tensorflow

SEED = 11
NUM_TRIED = 60
NUMBERS = (-1, 0, 1.5, 10**9, 10**12, 2**31, 2**63, 2**64, 2**70, 1e300)
OTHERS = (None, True, "", "../x", "/etc/passwd", [], {}, [None], {"": None})
CALLS = (
    "/v1/models/{}",
    "/v1/models/{}/metadata",
    "/v2/models/{}",
    "/v2/models/{}/config",
    "/v2/models/{}/stats",
)


def walk(value, path=()):
    """Yield the place of every value in a manifest, the manifest itself left out."""
    if path:
        yield path
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from walk(value[key], (*path, key))


def find(value, path):
    for key in path:
        value = value[key]
    return value


def change(manifest, path, new):
    changed = copy.deepcopy(manifest)
    find(changed, path[:-1])[path[-1]] = new
    return changed


def mutate(manifest):
    """Yield what was changed and the changed manifest, for every place."""
    for path in walk(manifest):
        value = find(manifest, path)
        for new in (*NUMBERS, *OTHERS):
            yield (*path, new), change(manifest, path, new)
        if isinstance(value, list) and value:
            for new in (value[:-1], [*value, value[0]], [*value, "more"]):
                yield (*path, new), change(manifest, path, new)
        if isinstance(value, dict):
            yield (*path, "+"), change(manifest, path, {**value, "more": [7]})
        without = copy.deepcopy(manifest)
        del find(without, path[:-1])[path[-1]]
        yield (*path, "left out"), without


class Service:
    """A service of version 1 of a model, beside a version 2 to load.

    Args:
        version: Folder of an exported version 1.
        home: Folder for all else.
    """

    def __init__(self, version, home):
        self.name = version.parent.name
        versions = home / "models" / self.name
        for number in ("1", "2"):
            shutil.copytree(version, versions / number)
        self.file = versions / "2" / MANIFEST
        self.manifest = {**json.loads(self.file.read_bytes()), "version": 2}
        self.file.write_text("{}")
        settings = {
            "MODELS": home / "models",
            "STATE": home / "state",
            "TOKEN_KEY_FILE": home / "key",
            "MEMORY": "memory://",
            "RUNTIME": "litert",
            "VERSIONS": 1,
            "WORKERS": 1,
        }
        environ = {f"CARRYOVER_{name}": str(value) for name, value in settings.items()}
        self.services = build_services(read_settings(environ))
        self.client = create_app(self.services).test_client()
        self.first = self.services.catalog.find(self.name)

    def attempt(self, manifest):
        """Load version 2 with a manifest; return its problem, or None if it is served.

        Whatever becomes of it, no call of the model fails, and version 1 is served
        unless version 2 is.
        """
        self.services.catalog.replace(self.name, [self.first])
        self.file.write_text(json.dumps(manifest))
        answer = self.client.post(f"/v2/repository/models/{self.name}/load")
        problem = None if answer.status_code == 200 else answer.json
        if problem:
            assert (answer.status_code, problem["code"]) == (400, "model_not_loaded")
        answers = list(self.call_all())
        for answer in answers:
            assert answer.status_code < 500, answer.text
        if problem:
            assert self.services.catalog.find(self.name) is self.first
            assert [answer.status_code for answer in answers] == [200] * len(answers)
        return problem

    def call_all(self):
        """Make every call that reads a manifest."""
        for path in CALLS:
            yield self.client.get(path.format(self.name))
        events = [self.first.manifest.input["vocabulary"][0]]
        for verb in ("predict", "explain"):
            body = {"instances": [{"sequence": events}]}
            yield self.client.post(f"/v1/models/{self.name}:{verb}", json=body)


@pytest.fixture(scope="module")
def service(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("manifests")
    opened = Service(exported[0] / "label" / "1", folder)
    yield opened
    opened.services.engine.sessions.close()


def test_manifest_of_the_files_is_loaded(service):
    assert service.attempt(service.manifest) is None
    assert service.services.catalog.versions("label") == [2]


def test_changed_manifest_harms_nothing(service, caplog):
    changes = list(mutate(service.manifest))
    random.Random(SEED).shuffle(changes)

    problems = [service.attempt(manifest) for _, manifest in changes[:NUM_TRIED]]

    assert sum(problem is not None for problem in problems) > NUM_TRIED / 4
    assert not [record for record in caplog.records if record.exc_info]


MUST_BE_REFUSED = {
    "memory of 10**12": (("memory", "short_term_0", 0), 10**12),
    "negative memory": (("memory", "short_term_0", 0), -8),
    "memory of 2**70": (("memory", "short_term_0", 0), 2**70),
    "timesteps of 10**9": (("programs", 0, "timesteps"), 10**9),
    "batch of 10**9": (("programs", 0, "batch"), 10**9),
    "empty output": (("output",), {}),
    "labels that do not match": (("output", "labels"), ["good", "bad", "ugly"]),
    "version of 2**64": (("version",), 2**64),
    "number that JSON has no room for": (("metrics",), [2**70]),
}


@pytest.mark.parametrize("case", MUST_BE_REFUSED.values(), ids=MUST_BE_REFUSED)
def test_manifest_that_the_network_belies_is_refused(service, case):
    path, new = case

    problem = service.attempt(change(service.manifest, path, new))

    assert "failed to load 'label'" in problem["detail"]


@pytest.mark.parametrize("elsewhere", ["../1/{}", "{}/../../{}", "/tmp/{}", "other"])
def test_program_that_is_no_listed_file_is_not_run(service, elsewhere):
    file = service.manifest["programs"][0]["file"]
    named = elsewhere.format(file, file)
    version = service.file.parents[2]
    (version / "other").write_bytes((version / file).read_bytes())
    try:
        listed = {**service.manifest["files"], named: "0" * 64}
        for files in (service.manifest["files"], listed):
            changed = change(service.manifest, ("programs", 0, "file"), named)
            assert service.attempt({**changed, "files": files})
    finally:
        (version / "other").unlink()


def test_file_that_a_loader_would_read_is_listed_or_refused(service):
    version = service.file.parents[2]
    for name in ("saved_model.cpb", "variables/more.index"):
        (version / name).touch()

        problem = service.attempt(service.manifest)

        (version / name).unlink()
        assert name in problem["detail"]
    (version / "assets.extra" / "tf_serving_warmup_requests").touch()
    (version / ".DS_Store").touch()
    assert service.attempt(service.manifest) is None
