"""Choices of versions reach every process that shares the folder."""

import subprocess
import sys

import pytest

from service.repository_state import Choice, SharedChoices


def test_a_choice_of_another_process_shows_at_a_look(tmp_path):
    choices = SharedChoices(tmp_path)
    before = choices.stamp()
    code = (
        "import sys; from pathlib import Path\n"
        "from service.repository_state import SharedChoices\n"
        "SharedChoices(Path(sys.argv[1])).add('nature', 'loaded', [2])"
    )

    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)

    assert choices.stamp() != before
    assert choices.read().models == {"nature": Choice("loaded", 1, [2])}


def test_choices_are_numbered_and_outlive_their_processes(tmp_path):
    first = SharedChoices(tmp_path)
    first.add("nature", "loaded", [1])
    first.add("nature", "unloaded", [])

    again = SharedChoices(tmp_path)

    assert again.read().models == {"nature": Choice("unloaded", 2)}
    assert again.stamp() == first.stamp()


def test_looking_changes_nothing(tmp_path):
    choices = SharedChoices(tmp_path)

    assert choices.stamp() == choices.stamp()


def test_file_of_an_earlier_release_is_read(tmp_path):
    (tmp_path / "repository.json").write_text('{"nature": ["unloaded", 3]}')

    assert SharedChoices(tmp_path).read().models == {"nature": Choice("unloaded", 3)}


@pytest.mark.parametrize(
    "damage", ["", "garbage", "[]", "7", '{"models": 1}', "[" * 9999]
)
def test_damaged_file_gives_way_to_its_copy(tmp_path, damage):
    SharedChoices(tmp_path).add("nature", "unloaded", [])
    (tmp_path / "repository.json").write_text(damage)

    assert SharedChoices(tmp_path).read().models["nature"].state == "unloaded"
    (tmp_path / "repository.copy.json").write_text(damage)
    assert SharedChoices(tmp_path).read().models == {}


def test_each_of_many_quick_choices_shows_at_a_look(tmp_path):
    choices = SharedChoices(tmp_path)
    seen = set()

    for number in range(50):
        choices.add("nature", "loaded", [number])
        seen.add(choices.stamp())

    assert len(seen) == 50


def test_choice_shows_after_the_clock_was_set_back(tmp_path, monkeypatch):
    choices = SharedChoices(tmp_path)
    choices.add("nature", "loaded", [1])
    _, before = choices.stamp()
    monkeypatch.setattr("time.time_ns", lambda: 0)

    choices.add("nature", "loaded", [2])

    assert choices.stamp()[1] > before
