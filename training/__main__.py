"""Train, export, compare and retrain models that the service remembers with.

Exit status: 0 done; 2 an error that the user can fix, in one `error: ...` line; 3 not
published, as the network is no better than its best baseline or (`retrain`) than the
served version, or (`drift`) captured events have drifted; 130 interrupted, the same
command continues.
"""

# TensorFlow is imported once it is needed, so that mistakes in a configuration show at
# once.

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import DISK_FULL, Drifted, NotBetter, TrainingError, during
from training.fit_command import add_fit
from training.inspect_command import add_inspect
from training.model_file import read_model_file
from training.names import check_name, read_names
from training.native_log import silence_native_log
from training.printable import escape_controls
from training.tune_command import add_tune
from training.version_commands import (
    add_compare,
    add_drift,
    add_promote,
    add_retrain,
)

FIXABLE = 2
NOT_BETTER = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells count
OPERATIONS = {
    "fit": ("Training", "Change the configuration named in it."),
    "inspect": ("The inspection", "Name the roles of the columns."),
    "export": ("The export", "Use other layers of Keras in the model."),
    "compare": ("The comparison", "Name versions of one model."),
    "promote": ("The promotion", "Name a published version."),
    "drift": ("The comparison", "Name captured events of the model."),
    "retrain": ("Retraining", "Change the configuration named in it."),
    "tune": ("Tuning", "Change the configuration named in it."),
}
RESUMES = {
    "fit": "The same command continues from the last finished epoch.",
    "inspect": "Nothing was written.",
    "export": "Nothing was published.",
    "compare": "Nothing was written.",
    "promote": "The label stands for a version, the old or the new one.",
    "drift": "Nothing was published.",
    "retrain": "The same command continues from the last finished epoch.",
    "tune": "The same command continues from the last finished epoch.",
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_fit(commands)
    add_export(commands)
    add_inspect(commands)
    add_compare(commands)
    add_promote(commands)
    add_drift(commands)
    add_retrain(commands)
    add_tune(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--debug", action="store_true", help="show the trace of an error"
        )
    return parser


def add_export(commands: Any) -> None:
    """Describe `python -m training export`."""
    export = commands.add_parser(
        "export", help="publish a Keras model of your own as a new version"
    )
    export.set_defaults(run=run_export)
    export.add_argument("file", type=Path, help="a .keras or .h5 file")
    export.add_argument("--name", required=True, help="name of the model in addresses")
    export.add_argument(
        "--events", type=Path, help="names of the events, one per line, index 0 first"
    )
    export.add_argument(
        "--labels", type=Path, help="names of what the model answers, one per line"
    )
    export.add_argument(
        "--task",
        choices=("next-event",),
        help="the output is the probability of each event to come",
    )
    export.add_argument(
        "--allow-code",
        action="store_true",
        help="run Python code stored in the file, as Lambda layers are",
    )
    export.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="serve model.predict of the last N events, padded in front",
    )
    export.add_argument(
        "--padding",
        type=float,
        metavar="NUMBER",
        help="what a window is padded with, unless what Masking masks, or 0",
    )
    export.add_argument("--artifacts", type=Path, default=Path("artifacts"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status.
    """
    options = build_parser().parse_args(arguments)
    try:
        with during(*OPERATIONS[options.command]):
            run(options)
    except TrainingError as error:
        if options.debug:
            traceback.print_exception(error)
        return fail(error)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {RESUMES[options.command]}")
        return INTERRUPTED
    return 0


def run(options: argparse.Namespace) -> None:
    """Run one command; what the system refuses has its own sentence.

    Raises:
        TrainingError: The command fails on something that the user can fix.
    """
    try:
        options.run(options)
    except OSError as error:
        if error.errno in DISK_FULL or error.filename is None:
            raise
        raise TrainingError(f"{error.filename}: {error.strerror or error}.") from error


def fail(error: TrainingError) -> int:
    """Print what is wrong as one line."""
    print(f"error: {escape_controls(str(error))}", file=sys.stderr)
    return NOT_BETTER if isinstance(error, NotBetter | Drifted) else FIXABLE


def run_export(options: argparse.Namespace) -> None:
    """Publish a Keras file."""
    check_name(options.name)
    read_model_file(options.file)
    events = read_names(options.events, "--events")
    labels = read_names(options.labels, "--labels")
    with silence_native_log():
        from training.export_keras import ExportRequest, export_file
    task = options.task.replace("-", "_") if options.task else None
    export_file(
        ExportRequest(
            options.file,
            options.name,
            events=events,
            labels=labels,
            task=task,
            allow_code=options.allow_code,
            window=options.window,
            padding=options.padding,
        ),
        options.artifacts,
    )


if __name__ == "__main__":
    sys.exit(main())
