"""Triton's own client, unchanged, against a real gunicorn of two workers."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.end_to_end import triton_calls
from tests.end_to_end.triton_calls import (
    MANY,
    MODEL,
    events,
    infer,
    parameters_of,
    tensor,
)
from tests.networks import VOCABULARY
from tests.servers import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

client = pytest.fixture(triton_calls.client)


def test_server_and_models_are_live_ready_and_described(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready(MODEL, "9")
    assert "sequence(string_id)" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata(MODEL)["inputs"][0]["datatype"] == "BYTES"
    assert "sequence_batching" in client.get_model_config(MODEL)


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("kind", [int, str])
def test_sequence_equals_its_events_at_once(client, kind, is_binary):
    sequence_id = uuid4().int % 2**63 if kind is int else uuid4().hex
    options = {"sequence_id": sequence_id, "is_binary": is_binary}

    first = infer(client, "open", sequence_start=True, **options)
    infer(client, "assign", "wait", **options)
    last = infer(client, "solve", sequence_end=True, **options)

    whole = infer(client, "open", "assign", "wait", "solve")
    np.testing.assert_allclose(
        last.as_numpy("probabilities"), whole.as_numpy("probabilities"), atol=1e-5
    )
    assert parameters_of(first)["sequence_id"] == sequence_id
    assert "expires_at" in parameters_of(first)
    assert parameters_of(last)["step"] == 4
    assert parameters_of(last)["model_version"] == "1"
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        infer(client, "open", **options)


def test_start_of_a_live_sequence_restarts_it(client):
    sequence_id = uuid4().hex
    infer(client, "open", "wait", sequence_id=sequence_id, sequence_start=True)

    again = infer(client, "open", sequence_id=sequence_id, sequence_start=True)

    fresh = infer(client, "open").as_numpy("probabilities")
    assert parameters_of(again)["sequence_restarted"] is True
    assert again.as_numpy("probabilities").tobytes() == fresh.tobytes()


def test_integer_and_string_name_the_same_sequence(client, server):
    number = uuid4().int % 2**63
    infer(client, "open", sequence_id=number, sequence_start=True)

    same = infer(client, "wait", sequence_id=str(number))
    native = server.predict(MODEL, {"sequence": ["solve"], "session": str(number)})

    assert parameters_of(same)["step"] == 2
    assert native.json()["predictions"][0]["step"] == 3


def test_repeat_under_an_idempotency_key_is_applied_once(client):
    sequence_id = uuid4().hex
    infer(client, "open", sequence_id=sequence_id, sequence_start=True)
    options = {
        "sequence_id": sequence_id,
        "parameters": {"idempotency_key": uuid4().hex},
    }

    answers = [infer(client, "wait", **options) for _ in range(MANY)]

    first, *others = [answer.as_numpy("probabilities").tobytes() for answer in answers]
    assert set(others) == {first}
    assert {parameters_of(answer)["step"] for answer in answers} == {2}
    after = infer(client, "solve", sequence_id=sequence_id)
    assert parameters_of(after)["step"] == 3


def test_several_outputs_each_in_its_form(client):
    outputs = [
        triton.InferRequestedOutput("surprise", binary_data=False),
        triton.InferRequestedOutput("decided"),
        triton.InferRequestedOutput("probabilities", class_count=2),
    ]

    result = infer(client, "open", "wait", "close", outputs=outputs)

    plain = infer(client, "open", "wait", "close").as_numpy("probabilities")[0]
    surprise = result.as_numpy("surprise")[0]
    assert np.isnan(surprise[0])
    assert np.isfinite(surprise[1:]).all()
    assert result.as_numpy("decided").tolist() == [(plain >= np.float32(0.9)).tolist()]
    best = np.argsort(-plain)[:2]
    assert result.as_numpy("probabilities").tolist() == [
        [f"{plain[k]:f}:{k}:{VOCABULARY[k]}".encode() for k in best]
    ]


def test_surprise_is_finite_where_the_sequence_continues(client):
    sequence_id = uuid4().hex
    infer(client, "open", sequence_id=sequence_id, sequence_start=True)

    result = infer(client, "wait", sequence_id=sequence_id)

    assert np.isfinite(result.as_numpy("surprise")).all()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways(client, algorithm):
    compressed = infer(
        client,
        "open",
        "wait",
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )

    plain = infer(client, "open", "wait")
    for name in ("probabilities", "surprise", "decided"):
        assert compressed.as_numpy(name).tobytes() == plain.as_numpy(name).tobytes()


def test_rows_of_different_lengths_and_outputs_after_every_event(client):
    names = [["open", "wait", "close"], ["solve", "", ""]]
    inputs = [tensor("sequence", names, "BYTES"), tensor("length", [3, 1], "INT64")]

    result = client.infer(MODEL, inputs, parameters={"return": "all"})

    probabilities = result.as_numpy("probabilities")
    assert probabilities.shape == (2, 3, len(VOCABULARY))
    alone = infer(client, "solve").as_numpy("probabilities")
    np.testing.assert_allclose(probabilities[1, 0], alone[0], atol=1e-5)
    assert not probabilities[1, 1:].any()


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT32", "INT64"])
@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
def test_records_equal_those_of_the_native_call(client, server, datatype, is_binary):
    times = ["2014-12-01T08:00:00", "2014-12-01T08:30:00"]
    values = [18306, 18746]
    inputs = [
        tensor("time", [times], "BYTES", is_binary=is_binary),
        tensor("value", [values], datatype, is_binary=is_binary),
    ]
    records = [{"time": t, "value": v} for t, v in zip(times, values, strict=True)]

    forecast = client.infer("series", inputs).as_numpy("forecast")

    native = server.predict("series", records).json()["predictions"]
    assert forecast.tobytes() == np.array(native, "f4").tobytes()


@pytest.mark.parametrize("model", [MODEL, "next-gru", "next-rnn", "label"])
def test_answers_are_bit_equal_to_those_of_the_native_call(client, server, model):
    session, names = uuid4().hex, ["open", "assign", "assign", "wait", "close"]
    start = True
    for name in names:
        row = {"sequence": [name], "session": f"native-{session}"}
        native = server.predict(model, row).json()["predictions"][0]

        for is_binary in (True, False):
            result = client.infer(
                model,
                [events(name, is_binary=is_binary)],
                sequence_id=f"{is_binary}-{session}",
                sequence_start=start,
            )
            got = result.as_numpy("probabilities")
            expected = np.array([native["probabilities"]], "f4")
            assert got.tobytes() == expected.tobytes()
        start = False


def test_indices_stand_for_event_names(client):
    by_index = client.infer(MODEL, [tensor("sequence", [[0, 2]], "INT32")])

    by_name = infer(client, VOCABULARY[0], VOCABULARY[2])
    assert (
        by_index.as_numpy("probabilities").tobytes()
        == by_name.as_numpy("probabilities").tobytes()
    )


@pytest.mark.parametrize(
    ("model", "inputs", "status", "words"),
    [
        ("nope", [events("open")], "404", "not served"),
        (MODEL, [events("opne")], "400", "Did you mean 'open'"),
        (
            MODEL,
            [tensor("x", [["open"]], "BYTES")],
            "400",
            "unexpected inference input",
        ),
        (MODEL, [tensor("sequence", ["open"], "BYTES")], "400", "has shape [1]"),
        (MODEL, [tensor("sequence", [[9]], "INT32")], "400", "sequence[0] is 9"),
        (MODEL, [tensor("sequence", [[0.5]], "FP32")], "400", "Send INT32"),
        ("series", [events("open")], "400", "unexpected inference input"),
    ],
)
def test_errors_reach_the_client_with_status_and_sentence(
    client, model, inputs, status, words
):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs)

    assert caught.value.status() == status
    assert words in caught.value.message()


def test_unknown_output_is_an_error(client):
    with pytest.raises(InferenceServerException, match="unexpected inference output"):
        infer(client, "open", outputs=[triton.InferRequestedOutput("x")])


def test_statistics_count_the_calls_of_all_workers(server, client):
    def count():
        """Read the counts once all workers have written theirs, at most 0.2 s late."""
        shown = []

        def is_settled():
            shown.extend(client.get_inference_statistics("next-gru")["model_stats"])
            return shown[-1] in shown[-2:-1]

        wait_until(is_settled, every=0.5)
        return shown[-1]["inference_stats"], shown[-1]["inference_count"]

    before, rows_before = count()

    def call(_):
        url = server.url.removeprefix("http://")
        with triton.InferenceServerClient(url) as own:
            own.infer("next-gru", [tensor("sequence", [["open"]] * 2, "BYTES")])
            with pytest.raises(InferenceServerException):
                own.infer("next-gru", [events("opne")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(MANY)))

    after, rows_after = count()
    assert after["success"]["count"] - before["success"]["count"] == MANY
    assert after["fail"]["count"] - before["fail"]["count"] == MANY
    assert rows_after - rows_before == 2 * MANY
    assert after["compute_infer"]["ns"] > before["compute_infer"]["ns"]
    everything = client.get_inference_statistics()["model_stats"]
    assert {statistics["name"] for statistics in everything} >= {
        MODEL,
        "next-gru",
        "series",
    }


def test_documented_example_runs(bundled_server, capsys):
    text = (ROOT / "docs" / "reference" / "open-inference.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    address = bundled_server.url.removeprefix("http://")

    names = {}
    exec(code.replace("127.0.0.1:8080", address), names)
    names["client"].close()

    assert capsys.readouterr().out.strip().endswith(" 2")
