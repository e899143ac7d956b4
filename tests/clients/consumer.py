"""A consumer of numbered messages, as one of Kafka is: it applies, then commits.

`tests/clients/test_killed_consumer.py` kills it at any point and starts it again.
"""

import json
import os
from pathlib import Path

from carryover_client import Client

PICTURES = ("squirrel", "bear", "tree", "blurry", "person")
EVENTS = [PICTURES[(7 * number + number // 5) % 5] for number in range(40)]


def apply_by_step_and_key(client, session, number):
    """Send a message with its number as the session's step and as its key."""
    session.step = number
    return session.predict([EVENTS[number]], key=f"message-{number}")


def apply_by_step(client, session, number):
    """Send a message with its number as the session's step."""
    session.step = number
    return session.predict([EVENTS[number]], key="")


def apply_by_key(client, session, number):
    """Send a message with its number as its key, and no step."""
    row = {"sequence": [EVENTS[number]], "session": session.id}
    rows = client.predict("nature", [row], key=f"message-{number}")["predictions"]
    return rows[0]


def apply_unguarded(client, session, number):
    """Send a message with neither."""
    row = {"sequence": [EVENTS[number]], "session": session.id}
    return client.predict("nature", [row], key="")["predictions"][0]


GUARDED = (apply_by_step_and_key, apply_by_step, apply_by_key)


def read_offset(folder):
    """Number of the first message that is not committed."""
    file = folder / "offset"
    return int(file.read_text()) if file.exists() else 0


def consume(url, folder, progress):
    """Apply each message after the committed one in each way; keep the answers; commit.

    `progress` is a pipe: a byte for each request that was answered and each commit.
    """
    with Client(url, verify=False) as client:
        for number in range(read_offset(folder), len(EVENTS)):
            answers = {}
            for apply in (*GUARDED, apply_unguarded):
                session = client.session("nature", apply.__name__)
                answer = apply(client, session, number)
                answers[apply.__name__] = answer["probabilities"]
                progress.send_bytes(b".")
            write(folder / f"answers-{number}", json.dumps(answers))
            write(folder / "offset", str(number + 1))
            progress.send_bytes(b".")


def write(file, text):
    """Replace a file in one step."""
    part = Path(f"{file}.part")
    part.write_text(text)
    os.replace(part, file)
