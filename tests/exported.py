"""Exports small random networks as artifacts, as training would publish them."""

from __future__ import annotations

from pathlib import Path

from tests import networks

CELLS = ("rnn", "lstm", "gru")
# What a service needs of each kind of call; each takes seconds to compile and prove.
FORMS = (
    ("advance", 1, 1),
    ("advance", 2, 1),
    ("advance", 4, 1),
    ("advance", 1, 16),
    ("explain", 1, 1),
)

# More of it makes the simple network chaotic: then rounding alone grows without bound.
NOISE = 0.3


def export_model(
    folder: Path, name: str, inputs, outputs, *, version=1, forms=FORMS, **options
):
    """Write `folder/name/version`, with programs if any forms; return the network."""
    from models.export import export_network, export_programs
    from models.export.compilation import Form
    from training.data.dataset import fingerprint_arrays
    from training.manifest import fingerprint_json, write_manifest

    network = networks.build(inputs, outputs, noise=NOISE, **options)
    path = folder / name / str(version)
    is_events = inputs["kind"] == "event"
    real = networks.random_events(2, 8) if is_events else networks.half_hours(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    memory = export_network(network, inputs, outputs, path, real=real)
    described = {}
    if forms:
        forms = [Form(*form) for form in forms]
        programs = export_programs(
            network, inputs, outputs, path, real=real, forms=forms
        )
        assert programs.entries, programs.note
        described = programs.describe()
    description = {
        **described,
        "task": outputs["kind"],
        "cell": options.get("cell", "lstm"),
        "units": list(options.get("units", (8,))),
        "input": inputs,
        "output": outputs,
        "threshold": None if outputs["kind"] == "forecast" else 0.9,
        "memory": memory,
        "network": fingerprint_json([fingerprint_arrays(*network.get_weights())]),
    }
    write_manifest(path, name, version, description)
    return network


def export_all(folder: Path):
    """Export one next-event model per cell, a label model and a series model."""
    live = {
        f"next-{cell}": export_model(
            folder,
            f"next-{cell}",
            networks.EVENTS,
            networks.NEXT_EVENT,
            cell=cell,
            units=(8, 6),
        )
        for cell in CELLS
    }
    live["label"] = export_model(folder, "label", networks.EVENTS, networks.LABEL)
    live["series"] = export_model(folder, "series", networks.SERIES, networks.FORECAST)
    return live
