"""KServe's Python client drives a session, over V1 and over V2; prints what it got."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

URL, MODEL = sys.argv[1:]
EVENTS = (["squirrel"], ["bear", "tree"], ["blurry"])


async def drive_v1():
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    received = {
        "live": await client.is_server_live(URL),
        "ready": await client.is_model_ready(URL, MODEL),
        "steps": [],
    }
    for events in EVENTS:
        row = {"sequence": events, "session": "kserve-v1"}
        answer = await client.infer(URL, {"instances": [row]}, model_name=MODEL)
        (prediction,) = answer["predictions"]
        received["steps"].append(prediction["step"])
    received["probabilities"] = prediction["probabilities"]
    row = {"sequence": ["bear"]}
    explained = await client.explain(URL, MODEL, {"instances": [row]})
    received["layers"] = len(explained["predictions"][0]["layers"])
    await client.close()
    return received


async def drive_v2():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    received = {
        "live": await client.is_server_live(URL),
        "ready": await client.is_server_ready(URL)
        and await client.is_model_ready(URL, MODEL),
        "steps": [],
    }
    for number, events in enumerate(EVENTS):
        tensor = InferInput("sequence", [1, len(events)], "BYTES")
        names = np.array([events], np.object_)
        tensor.set_data_from_numpy(names, binary_data=number % 2 == 1)
        parameters = {"sequence_id": "kserve-v2", "sequence_start": number == 0}
        request = InferRequest(MODEL, [tensor], parameters=parameters)
        answer = await client.infer(URL, request, model_name=MODEL)
        received["steps"].append(answer.parameters["step"])
    (output,) = (o for o in answer.outputs if o.name == "probabilities")
    received["probabilities"] = output.as_numpy()[0].tolist()
    await client.close()
    return received


print(json.dumps([asyncio.run(drive_v1()), asyncio.run(drive_v2())]))
