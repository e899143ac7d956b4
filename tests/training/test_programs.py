import pytest

pytestmark = pytest.mark.tensorflow

from models.export import Programs  # noqa: E402
from training.evaluate.metric import Metric  # noqa: E402
from training.programs import format_variants  # noqa: E402

EXACT = Programs([{"bytes": 4000}], 1e-8, predict=lambda sequences: sequences)
SMALLER = Programs([{"bytes": 1000}], 0.012, predict=lambda sequences: sequences / 2)


def measure(predict):
    return [Metric("MAPE", predict(0.5), "share")]


def test_evaluation_tells_size_difference_and_metrics_of_each_kind_of_weights():
    report = format_variants({"float32": EXACT, "int8": SMALLER}, measure)

    header, _, *rows = [line for line in report.splitlines() if line.startswith("|")]
    assert header.endswith("| largest difference | MAPE (share) |")
    assert rows == [
        "| float32 | 4000 | 1e-08 | 0.5 |",
        "| int8 | 1000 | 0.012 | 0.25 |",
    ]


def test_evaluation_says_why_there_is_no_smaller_kind():
    none = Programs([], note="Erfinv cannot be compiled")

    report = format_variants({"float32": EXACT, "int8": none}, measure)

    assert "| int8 | - | Erfinv cannot be compiled |" in report
