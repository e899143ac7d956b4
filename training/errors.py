"""The errors of training that a user can mend, as one tree; each is one condition.

TrainingError
├── ConfigError       a key of the configuration is unknown, missing or wrong
├── DataError         the data cannot be read or cannot be trained on
├── CheckpointError   the checkpoint of an interrupted run cannot be read
├── RunBusy           another process is training this very run
├── ModelError        a Keras file cannot be read, streamed or served as it is
└── Diverged          the loss is no longer a number

The command line prints the sentence and exits with status 2; anything else is a
defect of this program and keeps its traceback.
"""

from __future__ import annotations


class TrainingError(Exception):
    """Anything that stops training and that the user can mend."""


class ConfigError(TrainingError):
    """A key of the configuration is unknown, missing or wrong."""


class DataError(TrainingError):
    """The data cannot be read or cannot be trained on."""


class CheckpointError(TrainingError):
    """The checkpoint of an interrupted run cannot be read."""


class RunBusy(TrainingError):
    """Another process is training this very run."""


class ModelError(TrainingError):
    """A Keras file cannot be read, streamed or served as it is."""


class Diverged(TrainingError):
    """The loss is no longer a number."""
