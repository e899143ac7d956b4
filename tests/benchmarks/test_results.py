from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.results import __main__ as command
from benchmarks.results.anomalies import combine_counts, find_anomalies
from benchmarks.results.page import format_page
from benchmarks.results.problem import NETWORK, Figure, list_jobs
from benchmarks.results.problems import PROBLEMS
from benchmarks.results.records import read_records, write_record
from benchmarks.results.summary import summarize
from benchmarks.training.generated import write_log
from benchmarks.training.limits import check
from tests.servers import ROOT
from training.evaluate.alarms import count_overlaps

TRAINING = (sys.executable, "-m", "benchmarks.training")

# Of the tables that were asked for: by problem, how many of its networks have a limit.
ASKED = {
    "msnbc": 2,
    "helpdesk": 1,
    "helpdesk-by-time": 0,
    "bpi13-closed": 1,
    "taxi": 1,
    "taxi-year": 2,
    "japanese-vowels": 1,
    "italy-power-demand": 1,
    "tinyshakespeare": 1,
    "nab-realtraffic": 1,
    "nab-artificialwithanomaly": 1,
}
VOWELS = next(p for p in PROBLEMS if p.name == "japanese-vowels")


@pytest.fixture(scope="module")
def records():
    return read_records(command.RECORDS)


def test_page_has_the_figures_of_the_records(records):
    assert command.PAGE.read_text() == format_page(PROBLEMS, records)


def test_page_shows_every_changed_figure(records):
    for problem in PROBLEMS:
        for job in list_jobs([problem]):
            summary = summarize(problem, job.variant, records)
            if summary is None or str(job.seed) not in summary.seeds.split(", "):
                continue  # a seed with parts that are missing is not on the page
            text = json.dumps(records[job.key])
            changed = json.loads(text)
            for values in changed["figures"].values():
                values[NETWORK] += 9
            page = format_page(PROBLEMS, {**records, job.key: changed})
            assert page != command.PAGE.read_text(), job.key


def test_every_table_that_was_asked_for_has_figures_or_a_reason(records):
    limits = {p.name: sum(v.limit is not None for v in p.variants) for p in PROBLEMS}
    assert limits == ASKED
    for problem in PROBLEMS:
        for variant in problem.variants:
            assert summarize(problem, variant, records) or variant.reason, variant.name


def test_records_have_no_path_of_a_machine_and_belong_to_the_page(records):
    keys = {job.key for job in list_jobs(PROBLEMS)}
    assert set(records) <= keys
    for key, record in records.items():
        assert "/" not in record["config"]["data"]["file"], key
        assert record["date"], key
        assert record["code"], key


def test_training_goes_through_the_pipeline_and_continues_where_it_was(
    tmp_path, monkeypatch
):
    train = pytest.importorskip("benchmarks.results.train").train
    write_vowels(tmp_path / "data")
    variant = VOWELS.variants[0]
    table = {**variant.table}
    table["data"] = {**table["data"], "test": 12, "validation": 6}
    table["network"] = {"cell": "gru", "units": [8]}
    table["training"] = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
    tiny = dataclasses.replace(variant, table=table, seeds=(1,), limit=0.5)
    problem = dataclasses.replace(VOWELS, variants=(tiny,))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "WORK", tmp_path / "work")
    assert command.prepare(problem, tmp_path / "data")
    (job,) = list_jobs([problem])

    write_record(tmp_path / "results.json", job.key, train(job, tmp_path / "work"))

    records = read_records(tmp_path / "results.json")
    found = records[job.key]["figures"]["accuracy"]
    counted = {NETWORK, "majority", "n-gram", "nearest prefix"}
    # An extra that may not be installed.
    assert set(found) - {"gradient boosting"} == counted
    # Classes differ by their level alone: what looks at names cannot know them.
    assert found["nearest prefix"] == 1.0
    assert found["majority"] == found["n-gram"] == pytest.approx(0.5)
    assert records[job.key]["config"]["data"]["file"] == "series.csv"
    page = format_page([problem], records)
    assert f"| **LSTM(64)** | {found[NETWORK]:.3f} | 1 |" in page
    assert not (tmp_path / "work" / "artifacts" / "japanese-vowels").exists()


def write_vowels(data):
    folder = data / "japanese_vowels"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, cases in (("TRAIN", 24), ("TEST", 12)):
        lines = ["#a comment", "@classLabel true 1 2", "@data"]
        for number in range(cases):
            label = number % 2
            values = rng.normal(size=(12, 5 + number % 3)) + 5 * label
            channels = [",".join(f"{v:.4f}" for v in one) for one in values]
            lines.append(":".join([*channels, str(label + 1)]))
        path = folder / f"JapaneseVowels_{part}.ts"
        path.write_text("\n".join(lines) + "\n")


def test_absent_data_are_skipped_with_a_reason(tmp_path, capsys):
    assert not command.prepare(VOWELS, tmp_path)
    assert "skipped: japanese-vowels, as" in capsys.readouterr().out
    assert not command.prepare(VOWELS, None)
    assert "give their folder by --data" in capsys.readouterr().out


def test_first_seeds_come_before_second_ones():
    seeds = [job.seed for job in list_jobs(PROBLEMS)]
    assert seeds == sorted(seeds)
    assert {job.seed for job in list_jobs(PROBLEMS, 1)} == {1}


def test_limits_are_compared_as_shown():
    figure = Figure("WAPE", "lower", 3)
    assert figure.reaches(0.1004, 0.1)
    assert not figure.reaches(0.1006, 0.1)
    assert Figure("accuracy", "higher", 3).reaches(0.9666, 0.967)


def test_anomalies_are_runs_of_large_errors():
    errors = np.ones(2000)
    errors[700:720] = errors[760:770] = 50
    errors[1500:1520] = 50

    found = find_anomalies(errors)

    assert len(found) == 2
    assert found[0][0] < 700 < 770 < found[0][1]
    assert found[1][0] < 1500 < 1520 < found[1][1]
    assert find_anomalies(np.ones(100)) == []


def test_overlap_f1_sums_over_series():
    one = count_overlaps([(0, 5), (20, 25)], [(4, 8), (30, 40)])
    assert list(one.values()) == [1, 1, 1]
    other = count_overlaps([(0, 5)], [(5, 6)])
    parts = [
        {name: {NETWORK: count} for name, count in counts.items()}
        for counts in (one, other)
    ]
    assert combine_counts(parts)["overlap F1"][NETWORK] == pytest.approx(4 / 6)


def test_command_writes_the_page_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(command, "RECORDS", tmp_path / "results.json")
    monkeypatch.setattr(sys, "argv", ["benchmarks.results", "--page"])
    monkeypatch.chdir(tmp_path)

    assert command.main() == 0

    assert command.PAGE.read_text() == format_page(PROBLEMS, {})
    assert not command.RECORDS.exists()


def test_speed_is_compared_with_its_limits():
    rates = {"fit": 90.0, "padded model.fit": 30.0, "torch.nn.LSTM": 60.0}
    limits = check("speed", {"events_per_second": rates})
    assert [limit.value for limit in limits] == [3.0, 1.5]
    assert [limit.is_met for limit in limits] == [False, True]


def test_memory_of_a_generated_log_is_followed(tmp_path):
    write_log(tmp_path / "log.csv", 2_000)
    done = subprocess.run(
        [*TRAINING, "--child", "growth", str(tmp_path / "log.csv"), "2000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["updates"] == 2
    assert 50 < found["megabytes_loaded"] <= found["megabytes_highest"]


def test_minutes_of_a_training_that_is_measured_again_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results.json"
    trained = {
        "config": {"units": (1,)},
        "minutes": 5.0,
        "cpu_minutes": 3.0,
        "date": "a",
    }
    write_record(path, "one", trained)
    write_record(path, "one", {**trained, "cpu_minutes": 0.1, "date": "b"})
    kept = read_records(path)["one"]
    assert kept == {**trained, "config": {"units": [1]}, "date": "b"}
    other = {**trained, "config": {"units": [2]}, "cpu_minutes": 0.1}
    write_record(path, "one", other)
    assert read_records(path)["one"] == other
