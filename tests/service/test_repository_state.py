"""Choices of versions reach every process that shares the folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.registry.shared_choices import ModelChoice, SharedChoices

MODELS = Path("models")


def share(state, models=MODELS):
    return SharedChoices(state, models)


def test_a_choice_of_another_process_shows_at_a_look(tmp_path):
    choices = share(tmp_path)
    before = choices.stamp()
    code = (
        "import sys; from pathlib import Path\n"
        "from service.registry.shared_choices import SharedChoices\n"
        "SharedChoices(*map(Path, sys.argv[1:])).add('nature', 'loaded', [2])"
    )

    subprocess.run([sys.executable, "-c", code, tmp_path, MODELS], check=True)

    assert choices.stamp() != before
    assert choices.read().models == {"nature": ModelChoice("loaded", 1, [2])}


def test_choices_are_numbered_and_outlive_their_processes(tmp_path):
    first = share(tmp_path)
    first.add("nature", "loaded", [1])
    first.add("nature", "unloaded", [])

    again = share(tmp_path)

    assert again.read().models == {"nature": ModelChoice("unloaded", 2)}
    assert again.stamp() == first.stamp()


def test_looking_changes_nothing(tmp_path):
    choices = share(tmp_path)

    assert choices.stamp() == choices.stamp()


def test_file_of_an_earlier_release_is_read(tmp_path):
    (tmp_path / "repository.json").write_text('{"nature": ["unloaded", 3]}')

    assert share(tmp_path).read().models == {"nature": ModelChoice("unloaded", 3)}


@pytest.mark.parametrize(
    "damage",
    [b"", b"garbage", b"[]", b"7", b'{"models": 1}', b"[" * 9999, b'{"\xff": 1}'],
)
def test_damaged_file_gives_way_to_its_copy(tmp_path, damage):
    share(tmp_path).add("nature", "unloaded", [])
    [file] = tmp_path.rglob("repository.json")
    file.write_bytes(damage)

    assert share(tmp_path).read().models["nature"].state == "unloaded"
    file.with_name("repository.copy.json").write_bytes(damage)
    assert share(tmp_path).read().models == {}


def test_each_of_many_quick_choices_shows_at_a_look(tmp_path):
    choices = share(tmp_path)
    seen = set()

    for number in range(50):
        choices.add("nature", "loaded", [number])
        seen.add(choices.stamp())

    assert len(seen) == 50


def test_choice_shows_after_the_clock_was_set_back(tmp_path, monkeypatch):
    choices = share(tmp_path)
    choices.add("nature", "loaded", [1])
    _, before = choices.stamp()
    monkeypatch.setattr("time.time_ns", lambda: 0)

    choices.add("nature", "loaded", [2])

    assert choices.stamp()[1] > before


def test_each_folder_of_models_has_its_own_choices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    share(tmp_path, tmp_path / "a").add("nature", "loaded", [2])

    share(tmp_path, tmp_path / "b").add("nature", "unloaded", [])

    a, b, link = (
        share(tmp_path, tmp_path / name).read() for name in ("a", "b", "link")
    )
    assert a.models == link.models == {"nature": ModelChoice("loaded", 1, [2])}
    assert b.models == {"nature": ModelChoice("unloaded", 1)}


def test_choices_of_an_earlier_release_go_to_each_folder_until_it_chooses(tmp_path):
    (tmp_path / "repository.json").write_text('{"nature": ["unloaded", 3]}')

    share(tmp_path, tmp_path / "a").add("nature", "loaded", [2])

    assert share(tmp_path, tmp_path / "a").read().models["nature"].state == "loaded"
    assert share(tmp_path, tmp_path / "b").read().models["nature"].state == "unloaded"
