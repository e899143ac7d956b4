"""Drift: changes are seen, and samples of no size raise an alarm without one."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from training.drift import checks
from training.drift.checks import check_drift
from training.drift.page import conclude, print_checks, write_page
from training.drift.profile import PROFILE, describe, read_profile
from training.drift.sample import Sample, SampledSeries
from training.errors import ConfigError
from training.versions import Version

NAMES = ["home", "news", "sport", "mail", "[unknown]"]
INPUTS = {
    "kind": "record",
    "fields": [
        {"name": "page", "type": "category", "vocabulary": NAMES, "unknown": NAMES[-1]},
        {"name": "amount", "type": "number"},
    ],
}
SHARES = (0.4, 0.3, 0.2, 0.1, 0.0)
SIZES = (100, 200, 500, 1000, 3000)


def draw(num_sessions, seed, shares=SHARES, shift=0.0, surprise=1.0, sure=0.5):
    """Sessions of many lengths; events of one are alike, as of people they are."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.2, num_sessions)
    sessions = np.repeat(np.arange(num_sessions), lengths)
    favourite = rng.choice(len(shares), num_sessions, p=shares)[sessions]
    own = rng.choice(len(shares), len(sessions), p=shares)
    values = np.where(rng.random(len(sessions)) < 0.5, favourite, own)
    amounts = rng.normal(shift, 1.0, num_sessions)[sessions]
    mood = rng.normal(surprise, 0.3, num_sessions)[sessions]
    right = rng.random(len(sessions)) < 0.5
    return Sample(
        num_sessions,
        len(sessions),
        {"page": SampledSeries(values, sessions)},
        {"amount": SampledSeries(amounts, sessions)},
        SampledSeries(mood + rng.normal(0, 0.3, len(sessions)), sessions),
        SampledSeries(sure - right, sessions),
    )


@pytest.fixture(scope="module")
def profile():
    return json.loads(json.dumps(describe(INPUTS, draw(2000, 0))))


def states(drift):
    return {check.name: check.state for check in drift.checks}


@pytest.mark.parametrize("size", SIZES)
def test_undrifted_samples_of_any_size_raise_no_alarm(profile, size):
    found = [check_drift(INPUTS, profile, draw(size, seed)) for seed in range(11, 21)]

    assert {state for drift in found for state in states(drift).values()} == {"stable"}
    above = sum(c.figure > c.noise for drift in found for c in drift.checks)
    assert above <= 1  # of 40 checks; of 4,000 others 1 was


def test_without_the_noise_small_samples_would_raise_alarms(profile, monkeypatch):
    monkeypatch.setattr(checks, "measure_noise", lambda *_: 0.0)
    monkeypatch.setattr(checks, "SMIRNOV", 0.0)
    monkeypatch.setattr(checks, "ERRORS", 0.0)

    found = [states(check_drift(INPUTS, profile, draw(100, k))) for k in range(1, 21)]

    assert "drifted" in {state for one in found for state in one.values()}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"shares": (0.1, 0.2, 0.2, 0.5, 0.0)}, "PSI of page"),
        ({"shares": (0.3, 0.2, 0.1, 0.1, 0.3)}, "PSI of page"),
        ({"shift": 1.0}, "KS of amount"),
        ({"surprise": 1.4}, "rise of surprise"),
        ({"sure": 0.7}, "loss of calibration"),
        ({"sure": 0.3}, "loss of calibration"),
    ],
)
def test_a_change_is_seen_by_its_own_check_alone(profile, changed, name):
    drift = check_drift(INPUTS, profile, draw(500, 3, **changed))

    assert [check.name for check in drift.drifted] == [name]
    assert f"visits/1 has drifted: {name} " in conclude("visits/1", drift)
    lines = print_at(drift, 120)
    assert any(line.startswith(f"| {name} ") for line in lines)


def print_at(drift, width):
    out = io.StringIO()
    print_checks(drift, Console(file=out, width=width, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_names_do_not_command_the_terminal(profile):
    name = "sport\x1b[31m"
    bins, inputs = replace_name(profile, name), replace_name(INPUTS, name)
    sample = draw(500, 3, shift=1.0)
    moved = sample.names["page"]._replace(values=np.full(sample.num_events, 2))

    drift = check_drift(inputs, bins, sample._replace(names={"page": moved}))
    lines = print_at(drift, 200)

    assert any(r"sport\u001b[31m" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def replace_name(document, name):
    return json.loads(json.dumps(document).replace("sport", json.dumps(name)[1:-1]))


def test_the_table_fits_the_terminal_with_every_figure(profile):
    sample = draw(500, 3, shift=1.0)
    long = f"an event with the longest [name] {'of_all' * 20}"
    bins = json.loads(json.dumps(profile).replace("sport", long))
    inputs = json.loads(json.dumps(INPUTS).replace("sport", long))
    moved = sample.names["page"]._replace(values=np.full(sample.num_events, 2))

    drift = check_drift(inputs, bins, sample._replace(names={"page": moved}))
    lines = print_at(drift, 80)

    assert max(map(len, lines)) <= 80
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line]
    for check in drift.checks:
        figures = [f"{check.figure:.3f}", f"{check.limit:g}", f"{check.noise:.3f}"]
        assert [*figures, check.state] in [row[1:5] for row in rows]
    assert "[name]" in "\n".join(lines)


def test_less_surprise_is_no_drift(profile):
    drift = check_drift(INPUTS, profile, draw(500, 3, surprise=0.5))

    assert drift.drifted == []


def test_a_small_change_is_watched(profile):
    shares = (0.24, 0.28, 0.3, 0.18, 0.0)

    drift = check_drift(INPUTS, profile, draw(3000, 3, shares=shares))

    assert states(drift)["PSI of page"] == "watched"
    assert "has not drifted" in conclude("m/1", drift)
    assert "watch PSI of page" in conclude("m/1", drift)


def test_of_too_few_sessions_nothing_is_said(profile):
    sample = draw(99, 3, shares=(0.0, 0.0, 0.0, 1.0, 0.0))

    drift = check_drift(INPUTS, profile, sample)

    assert drift.checks == drift.drifted == []
    assert "nothing can be said of 99 sessions" in conclude("m/1", drift)
    assert "nothing can be said" in write_page("m/1", drift).decode()


def test_one_long_session_is_not_a_changed_world(profile):
    """A robot that reads one page 100,000 times."""
    sample = draw(500, 3)
    robot = np.full(100_000, 3)
    pages = SampledSeries(
        np.concatenate([sample.names["page"].values, robot]),
        np.concatenate([sample.names["page"].sessions, np.full(len(robot), 500)]),
    )

    drift = check_drift(
        INPUTS, profile, sample._replace(num_sessions=501, names={"page": pages})
    )

    assert states(drift)["PSI of page"] == "stable"


def test_the_page_loads_nothing_and_shows_shares(profile):
    drift = check_drift(INPUTS, profile, draw(500, 3, shift=1.0))

    page = write_page("visits/1", drift).decode()

    assert "<h1>Drift report of visits/1</h1>" in page
    assert "KS of amount" in page
    assert "Shares of page" in page
    assert "default-src &#39;none&#39;" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "an earlier release published it"),
        ("{", "cannot be read"),
        ('{"format": 2}', "its format is 2"),
    ],
)
def test_a_profile_that_cannot_be_read_is_named(tmp_path, text, part):
    if text is not None:
        (tmp_path / PROFILE).parent.mkdir(parents=True)
        (tmp_path / PROFILE).write_text(text)

    with pytest.raises(ConfigError, match=part):
        read_profile(Version(tmp_path, {"name": "m", "version": 1}))
