"""The documentation is tested: what it prints is what happens."""

import json
import re
import shlex
import subprocess

import pytest

from tests.servers import ROOT

ADDRESS = "http://127.0.0.1:8080"
# Weights trained on another processor differ in their last bits, and forty epochs
# make more of it: answers agree in what they say, not in every digit.
PROBABILITY_TOLERANCE = 0.02
PASSENGERS_TOLERANCE = 0.03
# Where a unit is not named, 0.01; and 2% in any case.
METRIC_TOLERANCES = {
    "nats": 0.002,
    "probability": 0.015,
}
VARYING = {"expires_at", "memory"}


def console_calls(document):
    """Pairs of a command and what it prints, from a document's console blocks."""
    text = (ROOT / document).read_text()
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        yield from re.findall(r"^\$ (.*)\n(.*)\n", block, re.M)


def assert_alike(got, shown, path="answer"):
    """Compare answers: same form, same words, numbers within their tolerance."""
    assert type(got) is type(shown), path
    if isinstance(shown, dict):
        assert got.keys() == shown.keys(), path
        for key in shown.keys() - VARYING:
            assert_alike(got[key], shown[key], f"{path}.{key}")
    elif isinstance(shown, list):
        assert len(got) == len(shown), path
        for k, (one, other) in enumerate(zip(got, shown, strict=True)):
            assert_alike(one, other, f"{path}[{k}]")
    elif isinstance(shown, float):
        relative = PASSENGERS_TOLERANCE if abs(shown) > 1 else 0
        expected = pytest.approx(shown, abs=PROBABILITY_TOLERANCE, rel=relative)
        assert got == expected, path
    else:
        assert got == shown, path


@pytest.mark.tensorflow
@pytest.mark.server
@pytest.mark.parametrize(
    ("document", "number"), [("README.md", 4), ("docs/tutorial/first-session.md", 5)]
)
def test_document_prints_what_the_service_answers(bundled_server, document, number):
    calls = list(console_calls(document))

    assert len(calls) == number
    for command, shown in calls:
        arguments = shlex.split(command.replace(ADDRESS, bundled_server.url))
        assert arguments[0] == "curl"
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert_alike(json.loads(done.stdout), json.loads(shown), command)


@pytest.mark.tensorflow
def test_page_shows_the_metrics_of_the_bundled_models(bundled):
    text = (ROOT / "docs" / "explanation" / "quality.md").read_text()

    for name in ("nature", "taxi", "visits"):
        folder = bundled / name / "1" / "assets.extra" / "carryover"
        manifest = json.loads((folder / "manifest.json").read_text())
        for metric in manifest["metrics"]:
            if metric["better"] == "nominal":
                continue  # its name has a threshold, other on another machine
            row = re.search(rf"\| {re.escape(metric['name'])} \((.*)", text).group(1)
            shown = [float(cell) for cell in re.findall(r"\| \**([\d.e-]+)", row)]
            measured = [metric["value"], *metric["baselines"].values()]
            if name != "nature" and "gradient boosting" not in metric["baselines"]:
                shown.pop()  # the last column: trained where scikit-learn is not
            allowed = METRIC_TOLERANCES.get(metric["unit"], 0.01)
            expected = pytest.approx(measured, abs=allowed, rel=0.02)
            assert shown == expected, metric["name"]


def test_readme_comparison_can_fail():
    with pytest.raises(AssertionError, match=r"answer.p\[1\]"):
        assert_alike({"p": [0.5, 0.53]}, {"p": [0.5, 0.5]})
    with pytest.raises(AssertionError, match=r"answer"):
        assert_alike({"p": []}, {"q": []})


def test_readme_is_read_in_a_minute():
    assert 80 <= len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_page_is_in_the_index():
    docs = ROOT / "docs"
    index = (docs / "README.md").read_text()
    decisions = (docs / "explanation" / "decisions" / "README.md").read_text()

    pages = [p for p in docs.rglob("*.md") if p.name != "README.md"]
    assert pages
    for page in pages:
        listed = decisions if page.parent.name == "decisions" else index
        assert f"/{page.name})" in listed or f"({page.name})" in listed, page.name


def test_files_that_pages_name_exist():
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "SECURITY.md"]:
        for name in re.findall(
            r"`((?:service|tests|models|training)/[\w/]+\.py)", page.read_text()
        ):
            if "NAME" not in name:
                assert (ROOT / name).exists(), f"{page.name}: {name}"


ADDING = sorted((ROOT / "docs" / "how-to").glob("add-a-*.md"))


def named_code(text):
    """Find the files that a text names, and what it says stands in each.

    `FILE.py::name` in one; or, as in the tables, files and then constants and tests of
    one of them.
    """
    files = []
    for word in re.findall(r"`([^`]+)`", text):
        found = re.fullmatch(r"([\w/]*\w+\.py)(?:::(\w+))?", word)
        if found and "NAME" not in word:
            name, inside = found.groups()
            files.append(ROOT / name)
            yield files[-1], inside
        elif files and re.fullmatch(r"[A-Z_]{4,}|test_\w+", word) and word != "NAME":
            places = [path for path in files if defines(path, word)]
            yield (places or files)[0], word


def defines(path, name):
    """Return whether a module has a function, class or variable of that name."""
    pattern = rf"^(?:\s*(?:def|class) {name}\b|{name}\b[^=\n]*=)"
    return re.search(pattern, path.read_text(), re.M) is not None


@pytest.mark.parametrize("page", ADDING, ids=lambda path: path.stem)
def test_code_that_pages_of_adding_name_exists(page):
    named = [
        (path, inside)
        for line in page.read_text().splitlines()
        for path, inside in named_code(line)
    ]

    assert len(named) > 4
    for path, inside in named:
        assert path.exists(), path
        assert inside is None or defines(path, inside), f"{path.name}: {inside}"


def test_code_that_does_not_exist_would_be_found():
    text = "`models/networks.py` has `CELLS`, `NO_CELLS`; `training/verdict.py::jury`"

    wrong = [
        name for path, name in named_code(text) if name and not defines(path, name)
    ]

    assert wrong == ["NO_CELLS", "jury"]


def test_commands_of_pages_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))

    for page in (ROOT / "docs").rglob("*.md"):
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
        assert named <= targets, page.name


def test_readme_commands_are_targets_of_the_makefile():
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))

    assert {"serve", "test"} <= set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets


def test_contributing_lists_the_top_level():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tree = re.search(r"## Files\n+```\n(.*?)```", text, re.S).group(1)

    folder = None
    for indent, name in re.findall(r"^( *)([\w.]+/?) ", tree, re.M):
        if not indent:
            folder = ROOT / name
        assert (folder / name if indent else folder).exists(), name
    assert folder


def test_files_that_architecture_names_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()

    names = re.findall(r"[\w/]+\.py\b", text)
    assert names
    for name in names:
        folders = ("", "service", "training", "training/data", "training/evaluate")
        assert any((ROOT / folder / name).exists() for folder in folders), name
