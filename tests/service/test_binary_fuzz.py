"""Any body at all becomes rows or a refusal of the client's, and in bounded time.

Hypothesis draws bodies; each is mutated many times over, which costs a hundredth of a
drawing. `make fuzz-binary` makes a million bodies so; here it is a few thousand.
"""

import os
import random
import time

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.api.problems import status_of
from service.api.v2.parse import parse_body
from service.errors import InvalidRequest
from tests.fakes import counting_model
from tests.service.binary_bodies import bodies, mutate

NUM_BODIES = int(os.environ.get("FUZZ_BODIES", "200"))
NUM_MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "20"))
# Of the processor, for a body of a few hundred bytes: it takes less than 0.1 ms.
MAX_SECONDS = 1.0
MODEL = counting_model()


def assert_rows_or_refusal(data, header_length):
    began = time.process_time()
    try:
        request = parse_body(data, header_length, MODEL, max_rows=20)
    except InvalidRequest as error:
        refusal = error
    else:
        refusal = None
        assert all(0 < len(row.sequence) <= 50 for row in request.rows)
        assert {int(k) for row in request.rows for k in row.sequence} <= {0, 1, 2}
    assert refusal is None or 400 <= status_of(refusal) < 500
    assert time.process_time() - began < MAX_SECONDS


@settings(
    max_examples=NUM_BODIES,
    derandomize="FUZZ_BODIES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(bodies(), st.integers(0, 2**32))
@example((b"", None), 0)
@example((b"", 0), 0)
def test_any_body_becomes_rows_or_is_refused(drawn, seed):
    data, header_length = drawn
    generator = random.Random(seed)

    assert_rows_or_refusal(data, header_length)

    for _ in range(NUM_MUTATIONS):
        assert_rows_or_refusal(*mutate(generator, data, header_length))
