"""Labels of versions: moved whole, by one at a time, and read as the service does."""

from __future__ import annotations

import hashlib
import json
import os
import threading

import pytest

from service.registry.model_folder import find_version
from training.__main__ import main
from training.errors import ConfigError
from training.versions import MANIFEST, find_served, promote, read_version


@pytest.fixture
def artifacts(tmp_path):
    """Two versions of a model, as far as a label needs them."""
    for number in (1, 2):
        file = tmp_path / "tickets" / str(number) / MANIFEST
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"name": "tickets", "version": number}))
    return tmp_path


def run(artifacts, *arguments):
    return main(["promote", *arguments, "--artifacts", str(artifacts)])


def test_a_label_moves_and_the_service_reads_it(artifacts, capsys):
    assert run(artifacts, "tickets", "1", "--label", "stable") == 0
    assert run(artifacts, "tickets", "2", "--label", "stable") == 0

    assert find_version(artifacts, "tickets", "stable") == 2
    assert capsys.readouterr().out.splitlines() == [
        "tickets: stable is version 1 (new)",
        "tickets: stable is version 2 (was 1)",
    ]


def test_other_labels_stay_and_nothing_is_left_over(artifacts):
    folder = artifacts / "tickets"
    (folder / "labels.json").write_text('{"canary": 2, "stable": 2}')

    promote(folder, 1, "stable")

    assert json.loads((folder / "labels.json").read_text()) == {
        "canary": 2,
        "stable": 1,
    }
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "labels.json"]


@pytest.mark.parametrize(
    ("arguments", "labels", "part"),
    [
        (("tickets", "3", "--label", "x"), None, "the versions in"),
        (("nobody", "1", "--label", "x"), None, "are: tickets. Name one of them"),
        (("ticket", "1", "--label", "x"), None, "Did you mean tickets?"),
        (("ticket", "new", "--label", "x"), None, "Did you mean tickets?"),
        (
            ("tickets", "new", "--label", "x"),
            None,
            "VERSION is 'new'; expected the number of a version of tickets: 1, 2.",
        ),
        (("tickets", "-1", "--label", "x"), None, "VERSION is '-1'"),
        (("tickets", "01", "--label", "x"), None, "VERSION is '01'"),
        (("tickets", "1", "--label", "a/b"), None, "--label is 'a/b'; expected 1 to"),
        (("tickets", "1", "--label", "3"), None, "which would read as a version"),
        (("../tickets", "1", "--label", "x"), None, "'../tickets'"),
        (("tickets", "1", "--label", "x"), "{", "labels.json cannot be read"),
        (("tickets", "1", "--label", "x"), '{"a": "1"}', "versions by label"),
        (("tickets", "1", "--label", "x"), "[1]", "versions by label"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    artifacts, capsys, arguments, labels, part
):
    file = artifacts / "tickets" / "labels.json"
    if labels:
        file.write_text(labels)

    assert run(artifacts, *arguments) == 2

    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert part in error
    assert (file.read_text() if labels else not file.exists()) == (labels or True)


def test_a_model_is_not_taken_for_one_of_its_versions(artifacts, capsys):
    command = ["compare", "tickets", "tickets/2", "--artifacts", str(artifacts)]

    assert main(command) == 2

    error = capsys.readouterr().err
    assert (
        "tickets is a model; expected one of its versions, such as tickets/2" in error
    )


def test_labels_in_a_named_pipe_are_refused_at_once(artifacts, capsys):
    os.mkfifo(artifacts / "tickets" / "labels.json")

    assert run(artifacts, "tickets", "1", "--label", "stable") == 2

    assert "it is no regular file" in capsys.readouterr().err


def test_a_reader_sees_whole_labels_and_no_promotion_is_lost(artifacts):
    folder = artifacts / "tickets"
    names = [f"label-{k}" for k in range(8)]
    promote(folder, 1, "stable")
    threads = [
        threading.Thread(target=lambda n=name: [promote(folder, v, n) for v in (1, 2)])
        for name in names
    ]

    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert find_version(artifacts, "tickets", "stable") == 1
    for thread in threads:
        thread.join()

    assert {find_version(artifacts, "tickets", name) for name in names} == {2}


def test_the_served_version_is_the_newest_or_the_labelled_one(artifacts):
    folder = artifacts / "tickets"
    promote(folder, 1, "stable")

    assert find_served(folder, None).title == "tickets/2"
    assert find_served(folder, "stable").title == "tickets/1"
    with pytest.raises(ConfigError, match="its labels are: stable"):
        find_served(folder, "canary")
    with pytest.raises(ConfigError, match="has no version yet"):
        find_served(artifacts / "nobody", None)


def test_a_damaged_manifest_is_refused(artifacts):
    (artifacts / "tickets" / "1" / MANIFEST).write_text("[]")

    with pytest.raises(ConfigError, match="cannot be read"):
        read_version(artifacts / "tickets" / "1")


def damage_nothing(version):
    """Leave a version whole."""


def remove_file(version):
    (version / "saved_model.pb").unlink()


def change_file(version):
    (version / "saved_model.pb").write_text("changed")


def remove_manifest(version):
    (version / MANIFEST).unlink()


DAMAGES = {
    remove_file: "cannot be read",
    change_file: "was changed after it was exported",
    remove_manifest: "is no published version",
}


@pytest.fixture
def exported(artifacts):
    """The same versions with a file each."""
    for number in (1, 2):
        version = artifacts / "tickets" / str(number)
        (version / "saved_model.pb").write_text("whole")
        files = {"saved_model.pb": hashlib.sha256(b"whole").hexdigest()}
        manifest = {"name": "tickets", "version": number, "files": files}
        (version / MANIFEST).write_text(json.dumps(manifest))
    return artifacts / "tickets"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_version_that_the_service_refuses_is_passed_over(exported, damage, capsys):
    assert find_served(exported, None).title == "tickets/2"

    damage(exported / "2")

    assert find_served(exported, None).title == "tickets/1"
    said = capsys.readouterr().err
    assert said.startswith("passed over: ")
    assert DAMAGES[damage] in said
    change_file(exported / "1")
    with pytest.raises(ConfigError, match=r"1/saved_model\.pb was changed"):
        find_served(exported, None)


def test_a_labelled_version_that_the_service_refuses_is_an_error(exported):
    promote(exported, 2, "stable")
    change_file(exported / "2")

    with pytest.raises(ConfigError, match="the service refuses version 2"):
        find_served(exported, "stable")


def test_drift_and_retrain_do_not_take_a_refused_version(exported, tmp_path, capsys):
    change_file(exported / "2")
    captured = tmp_path / "captured"
    captured.mkdir()
    commands = [
        ["drift", "tickets", str(captured)],
        ["retrain", "tickets", "--captured", str(captured), "--if-drifted"],
    ]

    for command in commands:
        status = main([*command, "--artifacts", str(tmp_path)])
        said = capsys.readouterr().err
        # It is version 1 that has no configuration here.
        assert status == 2
        assert "passed over: " in said
        assert "tickets/1 was not trained" in said
