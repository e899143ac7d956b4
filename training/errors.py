"""The errors of training that a user can fix, as one tree; each is one condition.

TrainingError
├── ConfigError       a key of the configuration is unknown, missing or wrong
├── DataError         the data cannot be read or cannot be trained on
├── CheckpointError   the checkpoint of an interrupted run cannot be read
├── RunBusy           another process is training this very run
├── ModelError        a Keras file cannot be read, streamed or served unchanged
├── NotBetter         a trained network does not beat its best baseline
├── Drifted           captured events are not those that a version was trained on
├── Diverged          the loss is no longer a number
└── OperationFailed   a library raised something that nobody foresaw

The command line prints the sentence and exits with status 2, for NotBetter and Drifted
with 3. --debug adds the trace.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from models.failing import find_layer as find_layer

MAX_REASON_LENGTH = 300  # characters; Keras quotes whole configurations
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# Where in its own code, or ours, a TensorFlow function fails.
PLACE = re.compile(r'Graph execution error:|Detected at node|File "|\[\[\{\{node')
COLOURS = re.compile(r"\x1b\[\d*m")
# The function of TensorFlow that something went wrong in.
CALLS = re.compile(r"\{\{function_node [^}]*\}\} *| *\[Op:\w+\] name: *$")
FULL_DISK = re.compile(r"no space left|disk (?:is )?full|enospc|errno = 28\b", re.I)


class TrainingError(Exception):
    """Anything that stops training and that the user can fix."""


class ConfigError(TrainingError):
    """A key of the configuration is unknown, missing or wrong."""


class DataError(TrainingError):
    """The data cannot be read or cannot be trained on."""


class CheckpointError(TrainingError):
    """The checkpoint of an interrupted run cannot be read."""


class RunBusy(TrainingError):
    """Another process is training this very run."""


class ModelError(TrainingError):
    """A Keras file cannot be read, streamed or served unchanged."""


class NotBetter(TrainingError):
    """A trained network does not beat its best baseline, so it is not published."""


class Drifted(TrainingError):
    """Captured events are not those that a version was trained on any more."""


class Diverged(TrainingError):
    """The loss is no longer a number."""


class OperationFailed(TrainingError):
    """A library raised something that nobody foresaw."""


@contextmanager
def during(
    operation: str, instead: str, refusals: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn whatever an operation raises into one sentence.

    Args:
        operation: What is done, such as `Streaming`.
        instead: What the user can do about it, as a sentence.
        refusals: Errors that are such a sentence already.

    Raises:
        OperationFailed: Something was raised that has no sentence of its own.
    """
    known: tuple[type[Exception], ...] = (TrainingError, *refusals)
    try:
        yield
    except known:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise OperationFailed(
                f"{operation} failed: no space left on the disk. Free some space there "
                "or in the folder for temporary files and run the same command again."
            ) from error
        where = find_layer(error)
        reason = shorten(quote(error), MAX_REASON_LENGTH)
        if isinstance(error, NameError):
            instead = "Import or define it inside of the function that uses it."
        raise OperationFailed(
            f"{operation} failed{where}: {type(error).__name__}"
            f"{f' ({reason})' if reason else ''}. {instead} Give --debug for the trace."
        ) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Recognize a full disk, whichever library noticed it."""
    while error is not None:
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        if full or FULL_DISK.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def quote(error: BaseException) -> str:
    """Return the message of a library as one line, without what Keras puts around."""
    plain = COLOURS.sub("", str(error)).partition("Arguments received by")[0]
    lines = [CALLS.sub("", line.strip()) for line in plain.splitlines()]
    return " ".join(" ".join(line for line in lines if not PLACE.match(line)).split())


def shorten(reason: str, longest: int) -> str:
    """Cut a message of a library."""
    return reason if len(reason) <= longest else reason[:longest] + "..."
