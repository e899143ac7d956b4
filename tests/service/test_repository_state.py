"""Wishes for models reach every process that shares the folder."""

import subprocess
import sys

from service.repository_state import Wish, Wishes


def test_a_wish_of_another_process_shows_at_a_look(tmp_path):
    wishes = Wishes(tmp_path)
    before = wishes.look()
    code = (
        "import sys; from pathlib import Path\n"
        "from service.repository_state import Wishes\n"
        "Wishes(Path(sys.argv[1])).add('nature', 'loaded')"
    )

    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)

    assert wishes.look() != before
    assert wishes.read() == {"nature": Wish("loaded", 1)}


def test_wishes_are_numbered_and_outlive_their_processes(tmp_path):
    first = Wishes(tmp_path)
    first.add("nature", "loaded")
    first.add("nature", "unloaded")

    again = Wishes(tmp_path)

    assert again.read() == {"nature": Wish("unloaded", 2)}
    assert again.look() == first.look()


def test_looking_changes_nothing(tmp_path):
    wishes = Wishes(tmp_path)

    assert wishes.look() == wishes.look()
