"""Opening of a version's runtime: LiteRT for compiled programs, else TensorFlow.

Either is imported only when such a runtime is opened.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from service.common.setting_types import RuntimeChoice
from service.registry.artifact import Artifact, ArtifactError
from service.registry.backends.base import SIGNATURES, Runtime
from service.registry.encoding.events import build_encoder
from service.registry.manifest_check import check_inputs

log = logging.getLogger(__name__)


def open_runtime(artifact: Artifact, choice: RuntimeChoice = "auto") -> Runtime:
    """Open the runtime of an exported version.

    Args:
        artifact: The version on disk.
        choice: `litert` or `tensorflow`; `auto` takes the programs where there are
            any that pass their check.

    Raises:
        ArtifactError: The chosen runtime cannot run this version.
    """
    if choice == "tensorflow" or (choice == "auto" and not artifact.manifest.programs):
        return open_tensorflow(artifact)
    from service.registry.backends.litert import LiteRTRuntime

    try:
        return LiteRTRuntime(artifact)
    except ArtifactError as error:
        if choice == "litert":
            raise
        log.warning("%s; TensorFlow runs it instead", error)
        return open_tensorflow(artifact)


def open_tensorflow(artifact: Artifact) -> Runtime:
    """Open the SavedModel, if TensorFlow is installed.

    Raises:
        ArtifactError: TensorFlow is not installed, or the inputs of the SavedModel are
            not the manifest's.
    """
    try:
        with mute_native_log():
            from service.registry.backends.tensorflow import TensorFlowRuntime
    except ImportError as error:
        raise ArtifactError(
            f"{artifact.path} has no compiled programs and TensorFlow is not installed "
            "to run its SavedModel. Install the tensorflow of requirements.txt, build "
            "the image with --target tensorflow, or export a network that compiles."
        ) from error
    runtime = TensorFlowRuntime(artifact.path)
    columns = build_encoder(artifact.manifest.input, max_events=1).columns
    for signature in SIGNATURES:
        shapes = runtime.input_shapes(signature)
        check_inputs(shapes, artifact.manifest, columns)
    return runtime


@contextmanager
def mute_native_log() -> Iterator[None]:
    """Keep TensorFlow's start-up notes out of the log.

    The level mutes most; a few lines are written before TensorFlow reads it, straight
    to the file descriptor, so that is turned away for the import. Errors in Python are
    raised as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
