"""The application, with a shadow that blocks its thread while a file exists."""

import os
from pathlib import Path

from gevent.monkey import get_original

from service.engine import shadow
from service.wsgi import app

__all__ = ["app"]

GATE, ENTERED = Path(os.environ["GATE"]), Path(os.environ["ENTERED"])
sleep = get_original("time", "sleep")  # blocks the thread, as a network does
advance_alone = shadow.advance_alone


def advance_later(*arguments):
    """Advance once the gate is open."""
    ENTERED.touch()
    while GATE.exists():
        sleep(0.01)
    return advance_alone(*arguments)


shadow.advance_alone = advance_later
