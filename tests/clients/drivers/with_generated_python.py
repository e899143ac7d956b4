"""A client of openapi-python-client's drives a session; prints what it got."""

import json
import sys

from generated.api.inference import post_v2_infer
from generated.api.predict import (
    post_forecast_forecast_rows,
    post_predict_explain,
    post_predict_predict,
)
from generated.api.sessions import delete_sessions_delete, get_sessions_show
from generated.client import Client
from generated.models import (
    ForecastBody,
    Form,
    FormParameters,
    InferAnswer,
    InputForm,
    ObjectRow,
    PredictBody,
    PredictBodyReturn,
    Predictions,
    Problem,
    RowAnswer,
    SessionState,
)

URL, MODEL = sys.argv[1:]
client = Client(base_url=URL)


def advance(events, *, at=None, call=post_predict_predict):
    row = ObjectRow(sequence=events, session="python")
    if at is not None:
        row.at = at
    answer = call.sync(MODEL, client=client, body=PredictBody(instances=[row]))
    if isinstance(answer, Problem):
        return answer
    assert isinstance(answer, Predictions)
    (prediction,) = answer.predictions
    assert isinstance(prediction, RowAnswer), type(prediction)
    return prediction


steps = [
    advance(events).step for events in (["squirrel"], ["bear", "tree"], ["blurry"])
]
refused = advance(["bear"], at=1)
body = PredictBody(
    instances=[
        ["bear", "tree"],
        ObjectRow(sequence=["bear"], session="python", at=99),
    ],
    return_=PredictBodyReturn.ALL,
)
mixed = post_predict_predict.sync(MODEL, client=client, body=body)
bare, failed = mixed.predictions
assert isinstance(failed, Problem), type(failed)
state = get_sessions_show.sync(MODEL, "python", client=client)
assert isinstance(state, SessionState)
explained = advance(["tree"], call=post_predict_explain)
gone = delete_sessions_delete.sync(MODEL, "python", client=client)
tensor = InputForm("sequence", [1, 2], "BYTES", data=["bear", "tree"])
parameters = FormParameters.from_dict({"sequence_id": "p", "sequence_start": True})
inferred = post_v2_infer.sync(
    MODEL, client=client, body=Form([tensor], parameters=parameters)
)
assert isinstance(inferred, InferAnswer)
forecast = post_forecast_forecast_rows.sync(
    MODEL, client=client, body=ForecastBody(instances=[["bear"]], horizon=2)
)
received = {
    "steps": [*steps, explained.step],
    "refused": [refused.status, refused.code, refused["step"]],
    "bare": bare,
    "failed": failed.code,
    "state": state.step,
    "layers": len(explained.layers),
    "deleted": gone.deleted,
    "infer": inferred.outputs[0].data,
    "forecast": forecast.code if isinstance(forecast, Problem) else None,
}
print(json.dumps(received))
