import pytest

pytestmark = pytest.mark.tensorflow

from models.export import Programs  # noqa: E402
from models.export.running import Distance  # noqa: E402
from training.evaluate.metric import Metric  # noqa: E402
from training.programs import format_variants, say_errors  # noqa: E402

EXACT = Programs([{"bytes": 4000}], 1e-8, predict=lambda sequences: sequences)
SMALLER = Programs([{"bytes": 1000}], 0.012, predict=lambda sequences: sequences / 2)


def measure(predict):
    return [Metric("MAPE", predict(0.5), "share")]


def test_evaluation_has_size_difference_and_metrics_of_each_kind_of_weights():
    report = format_variants({"float32": EXACT, "int8": SMALLER}, measure)

    header, _, *rows = [line for line in report.splitlines() if line.startswith("|")]
    assert header.endswith("| largest difference | MAPE (share) |")
    assert rows == [
        "| float32 | 4000 | 1e-08 | 0.5 |",
        "| int8 | 1000 | 0.012 | 0.25 |",
    ]


def test_evaluation_says_why_there_is_nothing_to_quantize():
    none = Programs([], note="Erfinv cannot be compiled")

    report = format_variants({"float32": none}, measure)

    assert "| weights | bytes of one program | largest difference |" in report
    assert "| float32 | - | Erfinv cannot be compiled |" in report


def test_what_is_said_of_errors_is_what_was_measured(capsys):
    errors = (Distance(3e-5, 4e-12, 100), Distance(2e-5, 1e-12, 100))

    say_errors(Programs([], 3e-5, errors=errors))

    said = " ".join(capsys.readouterr().out.split())
    assert "the programs are 2.0e-07 off, the SavedModel 1.0e-07" in said


def test_evaluation_says_why_there_is_no_smaller_kind():
    none = Programs([], note="Erfinv cannot be compiled")

    report = format_variants({"float32": EXACT, "int8": none}, measure)

    assert "| int8 | - | Erfinv cannot be compiled |" in report
