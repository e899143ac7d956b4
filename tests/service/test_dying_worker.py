"""A worker killed beside a commit: the session is at n or at n + k, never between."""

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from service.sessions.record import SessionKey
from service.stores.schemes import open_store
from tests.assembly import build_engine
from tests.fakes import counting_model
from tests.redis_servers import running
from tests.servers import ROOT
from tests.service.dying_worker import ROWS


@pytest.fixture(params=["lmdb", pytest.param("redis", marks=pytest.mark.redis)])
def address(request, tmp_path):
    """Return the address of a store that outlives the worker."""
    with contextlib.ExitStack() as stack:
        if request.param == "lmdb":
            yield f"lmdb://{tmp_path}/memory"
        else:
            yield stack.enter_context(running("redis")).url


@pytest.mark.parametrize("way", ROWS)
@pytest.mark.parametrize(("when", "step"), [("before", 3), ("after", 5)])
def test_repeat_to_another_worker_gives_the_right_answer(address, when, step, way):
    module = "tests.service.dying_worker"
    died = subprocess.run(
        [sys.executable, "-m", module, address, when, way], cwd=ROOT, check=False
    )
    engine = build_engine(time.time, store=open_store(address))
    found = engine.sessions.get(SessionKey("", "counting", "s")).step

    (answer,) = engine.advance(counting_model(), [ROWS[way]], tenant="")
    (again,) = engine.advance(counting_model(), [ROWS[way]], tenant="")

    assert died.returncode == -signal.SIGKILL
    assert found == step
    assert (answer.step, answer.is_replayed) == (5, when == "after")
    shares = answer.outputs["probabilities"][-1].tolist()
    assert shares == pytest.approx([2 / 5, 3 / 5, 0])
    assert (again.step, again.is_replayed) == (5, True)
    assert engine.sessions.get(SessionKey("", "counting", "s")).step == 5
    engine.sessions.close()
