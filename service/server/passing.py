"""Fair accepting: a new connection goes to a worker that has few.

All workers see a connection that waits. Each lets it pass for some turns of its event
loop, the more the more connections it has, so that one with fewer takes it first.
"""

from __future__ import annotations

# A turn of an idle loop takes some microseconds; another worker needs dozens to wake.
TURNS_PER_CONNECTION = 10
# Turns of a busy loop are long, and then nobody is idle.
MAX_SECONDS = 1e-3


class Passing:
    """Lets connections pass."""

    def __init__(self) -> None:
        self._turn = -1
        self._num_passed = 0
        self._since = 0.0

    def lets_pass(self, num_connections: int, turn: int, now: float) -> bool:
        """Return whether to leave a connection that waits to others, this turn.

        Args:
            num_connections: How many this worker has.
            turn: Of its event loop. A connection that still waits is seen each turn;
                after a turn without, it is another one.
            now: Seconds, by any clock that does not jump.
        """
        if turn != self._turn + 1:
            self._num_passed, self._since = 0, now
        self._turn = turn
        most = TURNS_PER_CONNECTION * num_connections
        if self._num_passed >= most or now - self._since >= MAX_SECONDS:
            self._turn = -1  # taken: the next one seen is another
            return False
        self._num_passed += 1
        return True
