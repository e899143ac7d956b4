"""OpenVINO's client drives a sequence and two plain rows; prints what it got."""

import json
import sys

import numpy as np
from ovmsclient import make_http_client

ADDRESS, MODEL = sys.argv[1:]
client = make_http_client(ADDRESS)

status = client.get_model_status(model_name=MODEL)
metadata = client.get_model_metadata(model_name=MODEL)
steps = []
for events, control in (
    (np.array(["squirrel"]), 1),
    (np.array([["bear", "tree"]]), 0),
    (np.array([b"blurry"]), 2),
):
    inputs = {
        "sequence": events,
        "sequence_id": np.array([77], np.int64),
        "sequence_control_input": np.array([control], np.int64),
    }
    outputs = client.predict(inputs, MODEL)
    steps.append(outputs["step"].tolist())
rows = client.predict({"sequence": np.array(["bear", "squirrel"])}, MODEL)
received = {
    "states": [one["state"] for one in status.values()],
    "spec": metadata["model_spec"]["name"],
    "steps": steps,
    "probabilities": outputs["probabilities"][0].tolist(),
    "rows": rows.tolist(),
}
print(json.dumps(received))
