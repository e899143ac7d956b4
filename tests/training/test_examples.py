"""Example sequences: what the manifest shows is what clients send."""

import numpy as np

from service.registry.encoding.events import build_encoder
from tests import networks
from training.examples import MAX_EVENTS, MAX_EXAMPLES, write_examples


def test_events_are_written_by_name():
    (example,) = write_examples(networks.EVENTS, np.array([[0, 4]], np.int32))

    assert example == {"name": "real sequence 1", "sequence": ["open", "close"]}


def test_records_are_read_back_as_they_were_encoded():
    encoded = networks.shop_visits(1, 4)

    (example,) = write_examples(networks.SHOP, encoded)

    again = build_encoder(networks.SHOP, max_events=9).encode(example["sequence"])
    np.testing.assert_allclose(again, encoded[0], rtol=1e-6)


def test_examples_are_few_and_short():
    examples = write_examples(networks.EVENTS, np.zeros((9, 500), np.int32))

    assert len(examples) == MAX_EXAMPLES
    assert {len(example["sequence"]) for example in examples} == {MAX_EVENTS}
