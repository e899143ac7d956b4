"""TensorFlow's and LiteRT's native notes, kept off the terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence_native_log() -> Iterator[None]:
    """Keep notes of native code off the terminal.

    The level set here mutes most; a few lines are written before TensorFlow reads it,
    and LiteRT has no level: straight to the file descriptor, which is why that is
    turned away. Errors in Python are raised as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        # How often TensorFlow traces a function is no matter of whoever trains.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
