"""The command line of training: `python -m training fit --config FILE`.

Exit status: 0 done, 2 something the user can mend (one `error: ...` line), 130
interrupted (the same command goes on). TensorFlow is imported once it is needed, so
mistakes in a configuration show at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.config import load_config
from training.errors import TrainingError
from training.native_log import silence_native_log
from training.publish import list_versions

MENDABLE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train a model and publish a new version")
    fit.add_argument(
        "--config", type=Path, required=True, help="training/configs/NAME.toml"
    )
    fit.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="override a key of the file, such as training.epochs=3",
    )
    fit.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    fit.add_argument("--runs", type=Path, default=Path("runs"))
    fit.add_argument(
        "--if-missing",
        action="store_true",
        help="do nothing if the model already has a version",
    )
    fit.add_argument(
        "--quantize",
        choices=("int8", "float16"),
        help="add programs with smaller weights, measured in evaluation.md; never the "
        "default of the service",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status.
    """
    options = build_parser().parse_args(arguments)
    try:
        fit(options)
    except TrainingError as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename or 'the system'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from the last finished epoch.")
        return INTERRUPTED
    return 0


def fail(sentence: str) -> int:
    """Print what is wrong as one line."""
    print(f"error: {sentence}", file=sys.stderr)
    return MENDABLE


def fit(options: argparse.Namespace) -> None:
    """Train and publish, unless there is a version and that is enough."""
    config = load_config(options.config, options.overrides)
    versions = list_versions(options.artifacts / config.name)
    if options.if_missing and versions:
        folder = options.artifacts / config.name / str(versions[-1])
        print(f"{folder} is there already; nothing to do.")
        return
    with silence_native_log():
        from training.pipeline import retrain
    retrain(
        config,
        artifacts=options.artifacts,
        runs=options.runs,
        quantize=options.quantize,
    )


if __name__ == "__main__":
    sys.exit(main())
