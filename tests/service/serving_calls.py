"""Calls of TensorFlow Serving's interface."""

from service.registry.catalog import Catalog
from tests.assembly import serve
from tests.fakes import counting_model

STATUS = {"error_code": "OK", "error_message": ""}
PREDICT = "/v1/models/counting:predict"
TENSOR = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["red"]}
BODIES = {
    "infer": {"inputs": [TENSOR]},
    "<version:version>:predict": {"instances": [["red"]]},
    "<version:version>:explain": {"instances": [["red"]]},
    "<version:version>:forecast": {"instances": [["red"]], "horizon": 1},
}


def client(services, tmp_path):
    """Two versions of the counting model, and labels for them."""
    folder = tmp_path / "counting"
    folder.mkdir()
    (folder / "labels.json").write_text('{"stable": 1, "canary": 2, "next": 9}')
    models = Catalog([counting_model(1), counting_model(2, network="cd" * 32)])
    settings = services.settings.__class__(
        **{**vars(services.settings), "models": str(tmp_path)}
    )
    return serve(models, settings=settings, engine=services.engine)
