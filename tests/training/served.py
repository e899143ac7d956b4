"""Published versions served in this process, to be asked over HTTP."""

from __future__ import annotations

import keras
import numpy as np

from service.registry.catalog import load_model
from tests import assembly
from tests.training.keras_files import save
from training.export_keras import ExportRequest, export_file


def publish(folder, name, model, **options):
    """Save a model, publish its file and return the model as it was loaded again."""
    path = save(folder, model, f"{name}.keras")
    order = ExportRequest(path, name, **{"compiled": False, **options})
    version = export_file(order, folder / "artifacts")
    return keras.saving.load_model(path, compile=False), version


def serve(*versions):
    """Return a client of an application with these versions."""
    return assembly.serve([load_model(version, 100) for version in versions])


def ask(client, name, row, status=200):
    """Send one row; return its answer, or the problem."""
    response = client.post(f"/v1/models/{name}:predict", json={"instances": [row]})
    assert response.status_code == status, response.text
    return response.json if status != 200 else response.json["predictions"][0]


def predict(model, *inputs):
    """Return what a model says of one sequence."""
    given = [np.asarray(x)[None] for x in inputs]
    output = model(given if len(given) > 1 else given[0], training=False)
    return keras.tree.map_structure(
        lambda x: np.asarray(keras.ops.convert_to_numpy(x))[0], output
    )
