"""Networks that are compiled, and sequences for their programs."""

from models.export.compilation import Form, compile_programs
from tests import networks

# Between LiteRT and Keras on one event: rounding of a few float32 operations.
ROUNDING = 1e-6
FEW_FORMS = (Form("advance", 2, 1), Form("advance", 2, 4), Form("explain", 1, 1))
NETWORKS = {
    "rnn next event": (networks.EVENTS, networks.NEXT_EVENT, {"cell": "rnn"}),
    "gru next event": (networks.EVENTS, networks.NEXT_EVENT, {"cell": "gru"}),
    "two lstm labels": (networks.EVENTS, networks.LABEL, {"units": (8, 6)}),
    "peephole labels": (networks.EVENTS, networks.LABEL, {"cell": "peephole"}),
    "lstm forecast": (networks.SERIES, networks.FORECAST, {}),
    "mixed records": (networks.SHOP, networks.QUANTILES, {"embedding": 3}),
}


def real_sequences(inputs):
    """Sequences that are not the export's own random ones."""
    if inputs is networks.EVENTS:
        return networks.random_events(2, 40, seed=3)
    if inputs is networks.SERIES:
        return networks.half_hours(40, seed=3)
    return networks.shop_visits(2, 40)


def compiled(network, outputs, forms):
    return {p.form: p for p in compile_programs(network, outputs, forms)}
