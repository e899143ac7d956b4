"""Exports small random networks as artifacts, as training would publish them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from pathlib import Path
from typing import NamedTuple

from tests import networks

CELLS = ("rnn", "lstm", "gru")
# What a service needs of each kind of call; each takes seconds to compile and prove.
FORMS = (
    ("advance", 1, 1),
    ("advance", 2, 1),
    ("advance", 4, 1),
    ("advance", 1, 64),
    ("explain", 1, 1),
)

# More of it makes the simple network chaotic: then rounding alone grows without bound.
NOISE = 0.3
MANIFEST = "assets.extra/carryover/manifest.json"


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


class Order(NamedTuple):
    """Export to make: a next-event model per cell, a label model, a series model."""

    name: str
    inputs: dict
    outputs: dict
    options: dict


ORDERS = [
    *(
        Order(
            f"next-{cell}",
            networks.EVENTS,
            networks.NEXT_EVENT,
            {"cell": cell, "units": (8, 6)},
        )
        for cell in CELLS
    ),
    Order("label", networks.EVENTS, networks.LABEL, {}),
    Order("series", networks.SERIES, networks.FORECAST, {}),
]


def export_all(folder: Path):
    """Export every order once, sharing the work with other processes of the run.

    Returns:
        The live networks by name, those that another process exported too.
    """
    live = {}
    folder.mkdir(exist_ok=True)
    # First what nobody else exports, then what others have finished meanwhile.
    for how in (fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX):
        for order in ORDERS:
            if order.name not in live:
                with (
                    contextlib.suppress(BlockingIOError),
                    lock_file(folder.parent / f"{folder.name}-{order.name}", how),
                ):
                    live[order.name] = export_or_build(folder, order)
    return {order.name: live[order.name] for order in ORDERS}


def export_or_build(folder: Path, order: Order):
    """Export a model, or build its network where it is exported."""
    name, inputs, outputs, options = order
    if (folder / name / "1" / MANIFEST).exists():  # written last
        return networks.build(inputs, outputs, noise=NOISE, **options)
    return export_model(folder, name, inputs, outputs, **options)


@contextlib.contextmanager
def lock_file(path: Path, how: int):
    """Lock a file between processes, for as long as the context lasts."""
    with path.open("a") as lock:
        fcntl.flock(lock, how)
        yield


def publish_again(source, models, name, version):
    """Publish a version under another name, as if it were of another network."""
    folder = models / name / str(version)
    shutil.copytree(source, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    network = f"{version:02x}" * 32
    manifest |= {"name": name, "version": version, "network": network}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder
