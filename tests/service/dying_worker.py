"""A worker that dies beside a commit: `python -m tests.service.dying_worker`.

Arguments: the address of a store, `before` or `after`, and the row's `key` or `at`.
"""

import os
import signal
import sys
import time

import numpy as np

from service.engine.rows import Row
from service.stores.schemes import open_store
from tests.assembly import build_engine
from tests.fakes import counting_model

FIRST = Row(np.array([1, 1, 0], "int32"), session="s")
ROWS = {
    "key": Row(np.array([0, 1], "int32"), session="s", key="k", fingerprint=b"f" * 16),
    "at": Row(np.array([0, 1], "int32"), session="s", at=3),
}


def main(address, when, way):
    """Compute a row and die, before its memory is stored or right after."""
    store = open_store(address)
    # The real clock: Redis expires by its own.
    engine = build_engine(time.time, store=store)
    engine.advance(counting_model(), [FIRST], tenant="")
    commit = store.commit

    def die(puts):
        if when == "after":
            commit(puts)
        os.kill(os.getpid(), signal.SIGKILL)

    store.commit = die
    engine.advance(counting_model(), [ROWS[way]], tenant="")


if __name__ == "__main__":
    main(*sys.argv[1:])
