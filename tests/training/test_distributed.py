"""One network trained by two processes is the one that a single process trains."""

import json
import multiprocessing
import os
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.waiting import wait_until
from training import rendezvous
from training.__main__ import main
from training.cluster import Task, read_task
from training.errors import ConfigError

# Two sums of float32 in another order, over some dozens of updates.
TOLERANCE = 1e-5
TRAINING_SECONDS = 600  # three trainings at a time, on a busy machine
CLUSTER = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}


def set_task(index, cluster=CLUSTER, kind="worker"):
    task = {"type": kind, "index": index}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_the_task_of_a_standard_tf_config_is_read():
    workers = tuple(CLUSTER["worker"])
    with_chief = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}

    assert read_task(set_task(1)) == Task(workers, 1)
    assert read_task(set_task(1, with_chief)) == Task(("a:1", "b:2", "c:3"), 2)
    assert read_task(set_task(0, with_chief, "chief")).is_chief


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "TF_CONFIG is missing"),
        ("{", "is not JSON"),
        ("[]", 'has no "cluster"'),
        (set_task(2), "has the task index 2; expected 0 to 1"),
        (set_task(None), "has the task index None"),
        (set_task(0, {"worker": ["a:1"]}), "names a:1; expected two workers"),
        (set_task(0, {"worker": ["a:1", "a:1"]}), "expected two workers"),
        (set_task(0, {"worker": ["a:1", "b"]}), "has the worker 'b'; expected host:po"),
        (set_task(0, {"worker": "a:1"}), "expected a list of host:port"),
        (set_task(0, {**CLUSTER, "ps": ["c:1"]}), "has tasks of type 'ps'"),
        (set_task(0, kind="chief"), 'has no "task"'),
    ],
)
def test_a_wrong_tf_config_is_one_sentence(text, reason):
    environment = text if isinstance(text, dict) else {"TF_CONFIG": text}

    with pytest.raises(ConfigError) as refused:
        read_task(environment)

    assert reason in str(refused.value)
    assert 'such as {"cluster"' in str(refused.value)


def find_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def folder(tmp_path):
    """A folder with a log of 61 cases of 2 to 9 events."""
    rng = np.random.default_rng(0)
    rows = [
        f"{case},{'abcd'[(place + case) % 4]}"
        for case in range(61)
        for place in range(rng.integers(2, 10))
    ]
    (tmp_path / "log.csv").write_text("case,event\n" + "\n".join(rows) + "\n")
    return tmp_path


def list_arguments(folder, name, *options):
    return [
        *("fit", "--data", str(folder / "log.csv"), "--case", "case"),
        *("--event", "event", "--artifacts", str(folder / name / "artifacts")),
        *("--runs", str(folder / name / "runs"), "--name", "log", *options),
        *("--set", "training.epochs=4", "network.units=[8]", "network.dropout=0"),
        *("data.split=file", "training.batch_size=15", "data.test=10"),
    ]


def run(arguments, task, output):
    """Run the command in this process."""
    os.environ.update(task)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(main(arguments))


def train_all(folder, ports):
    """Train in one process, and in two of which one is killed, all forks of this.

    TensorFlow is imported once, and only used in the forks.
    """
    import training.pipeline  # noqa: F401

    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    forks = multiprocessing.get_context("fork")

    def start(name, *options, task=None):
        arguments = list_arguments(folder, name, *options)
        output = folder / f"{name}.txt"
        process = forks.Process(
            target=run, args=(arguments, task or {}, output), daemon=True
        )
        process.start()
        return process

    def start_both():
        return [
            start(f"shared{k}", "--distribute", task=set_task(k, cluster))
            for k in range(2)
        ]

    first = start_both()
    wait_until(
        lambda: "epoch 1/4" in read(folder / "shared0.txt"),
        timeout_seconds=TRAINING_SECONDS,
    )
    first[1].kill()
    for process in first:
        process.join()
    left = f"{read(folder / 'shared0.txt')}exit status {first[0].exitcode}\n"
    (folder / "left.txt").write_text(left)
    ended = [start("alone"), *start_both()]
    wait_until(
        lambda: not any(process.is_alive() for process in ended),
        timeout_seconds=TRAINING_SECONDS,
    )
    codes = [process.exitcode for process in ended]
    (folder / "codes.json").write_text(json.dumps(codes))


def read(file):
    return file.read_text() if file.exists() else ""


def read_checkpoint(folder):
    """Read all that a training has made: weights, Adam's averages and losses."""
    (path,) = folder.glob("runs/*/*/network*.npz")
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.tensorflow
def test_two_processes_one_killed_and_both_resumed_train_what_one_does(folder):
    trained = multiprocessing.get_context("spawn").Process(
        target=train_all, args=(folder, find_ports(2))
    )
    trained.start()
    trained.join()

    *_, sentence, status = read(folder / "left.txt").splitlines()
    assert re.fullmatch(
        r"error: (the connection to|no answer from) 127.0.0.1:\d+ .*; expected all 2 "
        r"workers of TF_CONFIG\. Start the same command in each of them; .*",
        sentence,
    )
    assert status == "exit status 2"
    chief, worker = (read(folder / f"shared{k}.txt") for k in range(2))
    # Counting does better on such a log, so all of the training stays in the run.
    assert read(folder / "codes.json") == "[3, 3, 0]", chief + worker
    assert "epoch 1/4" not in chief
    assert "epoch 4/4" in chief
    assert "the chief measures and publishes" in worker
    assert not list((folder / "shared1").glob("runs/*/*/*.npz"))
    alone, shared = (read_checkpoint(folder / name) for name in ("alone", "shared0"))
    assert alone.keys() == shared.keys()
    for name, values in alone.items():
        assert shared[name] == pytest.approx(values, abs=TOLERANCE), name


def test_a_worker_that_hears_late_is_met_and_may_be_gone():
    """As on a slow machine: it reads the call when the caller has given up waiting."""
    first, second = find_ports(2)
    task = Task((f"127.0.0.1:{first}", f"127.0.0.1:{second}"), 0)
    late = socket.create_server(("127.0.0.1", second))
    meeting = threading.Thread(target=rendezvous.meet, args=(task, 60), daemon=True)
    meeting.start()
    connection, _ = late.accept()
    time.sleep(3)
    assert connection.recv(1) == b"\0"
    connection.close()
    # All calls are answered by now or never: the other one has left with its listener,
    # before it is heard, or a call in between would meet it.
    late.close()
    assert rendezvous.call(task.workers[0], 1)
    time.sleep(1)
    assert meeting.is_alive()
    # TensorFlow's server, which says nothing.
    with socket.create_server(("127.0.0.1", second)):
        meeting.join(30)
        assert not meeting.is_alive()


def test_workers_meet_in_any_order():
    addresses = tuple(f"127.0.0.1:{port}" for port in find_ports(3))
    everyone = threading.Barrier(3)

    def meet(rank):
        rendezvous.meet(Task(addresses, rank), 60)
        # TensorFlow's server opens the same port.
        with socket.create_server(("127.0.0.1", int(addresses[rank][10:]))):
            everyone.wait(60)

    with ThreadPoolExecutor(3) as pool:
        meetings = []
        for rank in (2, 0, 1):
            meetings.append(pool.submit(meet, rank))
            time.sleep(0.3)
        for meeting in meetings:
            meeting.result(60)


def test_a_missing_worker_is_named_in_time(folder, monkeypatch, capsys):
    first, second = (f"127.0.0.1:{port}" for port in find_ports(2))
    task = set_task(0, {"worker": [first, second]})
    monkeypatch.setenv("TF_CONFIG", task["TF_CONFIG"])
    began = time.monotonic()

    assert main(list_arguments(folder, "x", "--distribute", "1")) == 2

    assert 1 <= time.monotonic() - began < 30
    assert (
        f"error: no answer from {second} within 1 s; expected all 2 workers"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--distribute"], "TF_CONFIG is missing"),
        (["--distribute", "0"], "--distribute is 0; expected seconds"),
        (["--distribute", "--seeds", "2"], "--seeds is 2; expected 1"),
        (["--distribute", "--set", "training.bptt=20"], "training.bptt is 20"),
    ],
)
def test_what_is_not_distributed_is_refused(
    options, reason, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    log = tmp_path / "log.csv"
    log.write_text("case,event\n1,a\n1,b\n")

    roles = ["--case", "case", "--event", "event"]
    assert main(["fit", "--data", str(log), *roles, *options]) == 2
    assert reason in capsys.readouterr().err
