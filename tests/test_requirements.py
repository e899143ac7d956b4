"""The requirements: what is pinned is what is imported, and each pin says why."""

import re
import sys
from importlib.metadata import packages_distributions
from itertools import pairwise

import pytest

from tests.imports import imported
from tests.servers import ROOT

FILES = ("requirements-serving.txt", "requirements.txt", "requirements-dev.txt")
# What the service uses without importing it, or imports without pinning it.
# redis finds the first, gunicorn's gevent worker the second.
UNSEEN = {"hiredis", "packaging"}
BROUGHT_ALONG = {"werkzeug"}  # Flask's own
# Only for models without programs, and only for traces: other requirements have them.
OPTIONAL = {"tensorflow", "opentelemetry"}
TYPES = {"_typeshed"}  # for the type checker alone


def pins(name):
    """Lines of a requirements file that pin a package."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


def pinned(name):
    return {re.split(r"[=\[]", line)[0].lower() for line in pins(name)}


def test_serving_requirements_are_what_the_service_imports():
    distributions = packages_distributions()
    names = {
        name
        for path in (ROOT / "service").rglob("*.py")
        for name in imported(path)
        if name not in sys.stdlib_module_names | {"service"} | OPTIONAL | TYPES
    }

    wanted = {distributions[name][0].lower().replace("_", "-") for name in names}
    assert pinned("requirements-serving.txt") == wanted - BROUGHT_ALONG | UNSEEN


def test_each_requirements_file_is_the_one_before_and_more():
    for less, more in pairwise(FILES):
        assert f"-r {less}\n" in (ROOT / more).read_text()
        assert not pinned(less) & pinned(more)


@pytest.mark.parametrize("name", [*FILES, "requirements-tracing.txt"])
def test_every_pin_is_exact_and_has_its_reason(name):
    for line in pins(name):
        assert re.fullmatch(r"[\w\[\]-]+==[\w.]+ +# .{10,}", line), line
