"""Fills a store with sessions: `python -m benchmarks.speed.fill FOLDER COUNT`.

Through the service's own code and without HTTP: one session is advanced by an event,
and its record is stored under every name.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.access import TENANT
from benchmarks.speed.in_process import find_model, make_row, open_services, session_key
from benchmarks.speed.wire import session_name
from service.api.context import Services
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.record import Session

# In one transaction, in no order: as requests store them. Thousands at once would leave
# the file in the page cache in pieces of megabytes (ext4's large folios), and a later
# small write looks through all blocks of its piece: 60 us more a commit, measured.
BATCH = 8
SEED = 5
TEMPLATE = session_key("template")


def main() -> None:
    """Fill a store."""
    home, count = Path(sys.argv[1]), int(sys.argv[2])
    services = open_services(home)
    began = time.perf_counter()
    record = make_record(services)
    numbers = list(range(count))
    random.Random(SEED).shuffle(numbers)
    for start in range(0, count, BATCH):
        store(services, record, numbers[start : start + BATCH])
    services.engine.sessions.close()
    took = time.perf_counter() - began
    print(f"stored {count:,} sessions in {took:.0f} s", flush=True)


def make_record(services: Services) -> Session:
    """Advance one session by an event and return what is stored of it."""
    row = make_row(1, TEMPLATE.session)
    services.engine.advance(find_model(services), [row], tenant=TENANT)
    return services.engine.sessions.get(TEMPLATE)


def store(services: Services, record: Session, numbers: Sequence[int]) -> None:
    """Store a record under the names of many sessions."""
    keys = (TEMPLATE._replace(session=session_name(k)) for k in numbers)
    services.engine.sessions.save([(k.encode(), NEVER_SEEN, record) for k in keys])


if __name__ == "__main__":
    main()
