"""docs/explanation/lesson.md is tested: what it shows is what the service answers."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from docs.plots.answers import explain, format_gates
from docs.plots.lesson import BEGINNINGS, NEUTRAL, PROGRAMME
from tests.servers import ROOT
from tests.test_documentation import ADDRESS, assert_alike, console_calls

LESSON = ROOT / "docs" / "explanation" / "lesson.md"
# Which unit does what differs with the processor trained on, the average much less.
GATE_TOLERANCE = 0.2
PROBABILITY_TOLERANCE = 0.03


def read_figures(table):
    """Read a Markdown table's figures by the words that begin the row."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [(row[0], [float(cell) for cell in row[1:]]) for row in rows]


@pytest.mark.tensorflow
@pytest.mark.server
def test_lesson_prints_what_the_service_answers(bundled_server):
    calls = list(console_calls("docs/explanation/lesson.md"))

    assert len(calls) == 7
    for command, shown in calls:
        # Through a shell, as its reader does: one call writes sixty trees with printf.
        done = subprocess.run(
            ["bash", "-c", command.replace(ADDRESS, bundled_server.url)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert_alike(json.loads(done.stdout), json.loads(shown), command)


@pytest.mark.tensorflow
@pytest.mark.server
def test_lessons_table_of_gates_is_what_the_service_explains(bundled_server):
    shown = re.search(r"<!-- printed .*-->\n(.*?)\n\n", LESSON.read_text(), re.S)

    explained = format_gates(explain(bundled_server.url, PROGRAMME))

    for (picture, got), (words, figures) in zip(
        read_figures(explained), read_figures(shown.group(1)), strict=True
    ):
        assert picture == words
        assert got[:-1] == pytest.approx(figures[:-1], abs=GATE_TOLERANCE)
        assert got[-1] == pytest.approx(figures[-1], abs=PROBABILITY_TOLERANCE)


@pytest.mark.tensorflow
@pytest.mark.server
@pytest.mark.parametrize("first", BEGINNINGS)
def test_picture_of_memory_lies_on_the_exact_values(bundled_server, first):
    explained = explain(bundled_server.url, (first, *NEUTRAL, "blurry"))

    wolf = explained.probabilities[1:, 1]

    assert abs(wolf - BEGINNINGS[first]).max() < PROBABILITY_TOLERANCE


@pytest.mark.tensorflow
@pytest.mark.server
def test_bear_opens_the_gates_as_the_lesson_says(bundled_server):
    explained = explain(bundled_server.url, PROGRAMME)
    bear = PROGRAMME.index("bear")

    learnt = explained.gates["learn"].mean(axis=1)
    kept = explained.gates["forget"].mean(axis=1)

    assert learnt.argmax() == bear
    assert kept.argmin() == bear


@pytest.mark.parametrize("document", ["lesson.md", "adding-problem.md"])
def test_pictures_and_files_a_document_links_to_are_there(document):
    text = (LESSON.parent / document).read_text()
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)

    assert [link for link in links if not (LESSON.parent / link).exists()] == []
