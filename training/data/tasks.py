"""Tasks on an event log, as a configuration names them."""

from __future__ import annotations

from training.sections import Rule

# By its short name. A network's first task is its main output: classes come first.
ALIASES = {
    "next": "next event",
    "label": "label",
    "time": "next time",
    "remaining": "remaining time",
}
TASKS = tuple(ALIASES.values())
TIMED = {"next time", "remaining time"}


def split_tasks(text: str) -> list[str]:
    """Split tasks with commas between, short names replaced."""
    words = [word.strip() for word in text.split(",")]
    return [ALIASES.get(word, word) for word in words]


def parse_tasks(text: str) -> list[str]:
    """Read tasks with commas between, in their order."""
    return sorted(split_tasks(text), key=TASKS.index)


def is_tasks(text: str) -> bool:
    """Return whether a text names tasks, none twice."""
    words = split_tasks(text)
    return set(words) <= set(TASKS) and len(set(words)) == len(words)


# Both spellings, wherever tasks are asked for.
TASK_WORDS = ", ".join(
    task if short == task else f"{task} (or {short})" for short, task in ALIASES.items()
)
TASK_RULE = Rule(f"of {TASK_WORDS}, several with commas between", is_tasks)
