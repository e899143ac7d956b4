"""Events a second of `fit`, of Keras's `model.fit` on padded batches, and of PyTorch.

One network, LSTM(96) with an embedding of 32, on the same readers of MSNBC, 128 a
batch, on one thread. What is counted is time of the processor, so that other programs
on the machine change it little.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed.environments import Unavailable, make_environment
from models.networks import build_network
from training.batches import Batches
from training.config import Config, check_config
from training.data.dataset import Dataset, Sequences
from training.fit import Plan, compile_network, train_epoch
from training.losses import build_loss
from training.sources import SOURCES
from training.windows import WindowRunner

HERE = Path(__file__).parent
READERS, ROUNDS, SEED = 8_000, 3, 1
NETWORK = {"cell": "lstm", "units": [96], "embedding": 32}
TRAINING = {"epochs": 8, "batch_size": 128, "learning_rate": 0.003}

# Seconds of the processor that one pass takes.
Pass = Callable[[], float]


def measure_speed(path: Path) -> dict[str, Any]:
    """Measure all contenders: events a second by name, each round one.

    Args:
        path: Views as CSV, of READERS readers.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    config = configure(path)
    dataset = SOURCES["events"].load(config.data, SEED)
    drawn: Any = dataset.draw_epoch(np.random.default_rng(SEED))
    events = int(np.count_nonzero(drawn.weights))
    passes = {
        "fit": prepare_fit(config, dataset),
        "padded model.fit": prepare_keras(dataset, drawn),
    }
    for warm_up in passes.values():
        warm_up()
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(ROUNDS):
        for name, one in passes.items():
            seconds[name].append(one())
    missing = ""
    try:
        seconds["torch.nn.LSTM"] = run_torch(drawn, len(dataset.outputs["labels"]))
    except Unavailable as error:
        missing = str(error)
    return {
        "events": events,
        "readers": READERS,
        "longest": int(drawn.lengths.max()),
        "events_per_second": {
            name: statistics.median(events / one for one in taken)
            for name, taken in seconds.items()
        },
        "rounds": {
            name: [events / x for x in taken] for name, taken in seconds.items()
        },
        "missing": missing,
    }


def configure(path: Path) -> Config:
    """Make the configuration of all contenders."""
    data = {
        "source": "events",
        "file": str(path),
        "case": "reader",
        "event": "section",
        "end": False,
        "unknown": False,
        "split": "file",
        "validation": 10,
        "test": 10,
        "cut_after": 500,
    }
    table = {"name": "speed", "data": data, "network": NETWORK, "training": TRAINING}
    return check_config(table, "benchmark")


def build(dataset: Dataset) -> keras.Model:
    """Build the network, the same weights for each."""
    keras.utils.set_random_seed(SEED)
    return build_network(dataset.inputs, dataset.outputs, **NETWORK)  # type: ignore[arg-type]


def prepare_fit(config: Config, dataset: Dataset) -> Pass:
    """Train as `training.fit` does, an epoch a pass."""
    network = build(dataset)
    loss = build_loss(dataset.inputs, dataset.outputs)
    compile_network(network, loss, config.training)
    plan = Plan(dataset.draw_epoch, config.training, SEED)
    runner = WindowRunner(network, is_training=True)

    def run() -> float:
        began = time.process_time()
        train_epoch(runner, network, plan, 1)
        return time.process_time() - began

    return run


def prepare_keras(dataset: Dataset, drawn: Sequences) -> Pass:
    """Train as Keras's guides do: batches at random, padded to their longest."""
    network = build(dataset)
    network.compile(
        keras.optimizers.Adam(0.003, clipnorm=1.0), "sparse_categorical_crossentropy"
    )
    rows = [drawn.take(np.array([k])) for k in range(len(drawn.lengths))]
    signature = tuple(
        tf.TensorSpec((None,), kind) for kind in (tf.int32, tf.int32, tf.float32)
    )
    data = tf.data.Dataset.from_generator(
        lambda: ((one.sequences[0], one.targets[0], one.weights[0]) for one in rows),
        output_signature=signature,
    ).cache()
    batches = data.shuffle(len(rows), SEED).padded_batch(128)

    def run() -> float:
        began = time.process_time()
        network.fit(batches, verbose=0)
        return time.process_time() - began

    return run


def run_torch(drawn: Sequences, labels: int) -> list[float]:
    """Train the same batches with PyTorch, in its own environment.

    Raises:
        Unavailable: It cannot be installed.
    """
    environment = make_environment("torch", HERE)
    batches = Batches(drawn, 128, np.random.default_rng(SEED))
    arrays: dict[str, Any] = {"labels": labels}
    for k, window in enumerate(batches):
        names = (f"s{k}", f"t{k}", f"w{k}")
        arrays |= dict(zip(names, window.examples, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batches.npz"
        np.savez(path, count=batches.count, **arrays)
        command = [environment / "bin" / "python", HERE / "torch" / "train.py", path]
        done = subprocess.run(
            [*map(str, command), str(ROUNDS)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise Unavailable(f"torch failed: {done.stderr.strip()[-300:]}")
    seconds: list[float] = json.loads(done.stdout)["seconds"]
    return seconds
