"""The settings: one table that drives parsing, `--help` and docs/reference/settings.md.

Every setting is an environment variable `CARRYOVER_*` (12-factor). A bad value or an
unknown `CARRYOVER_*` name stops the start and names both key and value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple, cast, get_args

from service.common.text import redact, show_unknown, show_value

PREFIX = "CARRYOVER_"
RuntimeChoice = Literal["auto", "litert", "tensorflow"]
DAY = 86_400.0
# Lines of a stream that one batch may have.
MAX_WAITING_LINES = 256
# Of `service.sessions.version_policy`, which imports the networks' side; a test holds
# the two equal.
POLICIES = ("pin", "replay", "reset", "refuse")
MAX_PORT = 65_535
RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")


class SettingError(Exception):
    """A setting has a value that cannot be used."""


class Setting(NamedTuple):
    """One row of the table: attribute, reader of its text, default, meaning."""

    name: str
    read: Callable[[str], Any]
    default: Any
    help: str


def positive_int(text: str) -> int:
    """Read a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def natural(text: str) -> int:
    """Read a whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def port(text: str) -> int:
    """Read a port number."""
    value = int(text)
    if not 1 <= value <= MAX_PORT:
        raise ValueError
    return value


def store_address(text: str) -> str:
    """Read the address of a store; the store itself checks the rest."""
    if not text.startswith(("lmdb://", "memory://", "redis://", "rediss://")):
        raise ValueError
    return text


def positive_seconds(text: str) -> float:
    """Read a finite duration above 0, in seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def seconds_or_never(text: str) -> float:
    """Read a finite duration above 0 in seconds, or 0."""
    return 0.0 if text == "0" else positive_seconds(text)


def policy(text: str) -> str:
    """Read the name of a policy for new versions."""
    if text not in POLICIES:
        raise ValueError
    return text


def policies(text: str) -> dict[str, str]:
    """Read policies of models, `name=policy` parted by commas."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError
    return {name.strip(): policy(chosen.strip()) for name, _, chosen in pairs}


def seconds_by_model(text: str) -> dict[str, float]:
    """Read durations of models, `name=seconds` parted by commas."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError
    return {name.strip(): positive_seconds(value) for name, _, value in pairs}


def shares_by_model(text: str) -> dict[str, float]:
    """Read shares of models' sessions, `name=share` parted by commas."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    shares = {name.strip(): float(value) for name, _, value in pairs}
    if not all(name and 0 < share <= 1 for name, share in shares.items()):
        raise ValueError
    return shares


def rate(text: str) -> str:
    """Read a number of requests and the unit of time they may come in."""
    if text and not RATE.fullmatch(text):
        raise ValueError
    return text


def rates_by_tenant(text: str) -> dict[str, str]:
    """Read rates of tenants, `name=rate` parted by commas."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    if not all(name and RATE.fullmatch(value) for name, _, value in pairs):
        raise ValueError
    return {name.strip(): value for name, _, value in pairs}


def rate_store(text: str) -> str:
    """Read where requests are counted."""
    if text != "memory://" and not text.startswith(("redis://", "rediss://")):
        raise ValueError
    return text


def on_or_off(text: str) -> str:
    """Read on or off."""
    if text not in ("on", "off"):
        raise ValueError
    return text


def plain_memory(text: str) -> str:
    """Read what is allowed of client-held memory in the open."""
    if text not in ("off", "show", "accept"):
        raise ValueError
    return text


def log_level(text: str) -> str:
    """Read the name of a log level."""
    if text not in ("debug", "info", "warning", "error"):
        raise ValueError
    return text


def runtime_choice(text: str) -> RuntimeChoice:
    """Read the name of a runtime."""
    if text not in get_args(RuntimeChoice):
        raise ValueError
    return cast("RuntimeChoice", text)


EXPECTED = {
    runtime_choice: "auto, litert or tensorflow",
    policy: "pin, replay, reset or refuse",
    policies: "model=policy pairs with commas between: nature=replay,taxi=reset",
    seconds_by_model: "model=seconds pairs with commas between: nature=3600,taxi=600",
    shares_by_model: "model=share pairs, above 0 to 1, with commas between: visits=0.1",
    on_or_off: "on or off",
    rate: "requests in a time: 100/second, 6000/minute",
    rates_by_tenant: "tenant=rate pairs with commas between: acme=100/second",
    rate_store: "memory://, redis://HOST or rediss://HOST",
    seconds_or_never: "a number of seconds above 0, or 0",
    plain_memory: "off, show or accept",
    str: "text",
    log_level: "debug, info, warning or error",
    natural: "a whole number of at least 0",
    positive_int: "a whole number of at least 1",
    port: "a whole number from 1 to 65535",
    store_address: "lmdb://PATH, redis://HOST, rediss://HOST or memory://",
    positive_seconds: "a number of seconds above 0",
}

TABLE = (
    Setting("models", str, "artifacts", "Folder of models, <name>/<version>/ each."),
    Setting(
        "versions",
        positive_int,
        2,
        "How many versions of a model are served, the newest first.",
    ),
    Setting(
        "watch_seconds",
        seconds_or_never,
        0.0,
        "How often the folder of models is looked at for new versions, which are then "
        "served without a call. 0: never.",
    ),
    Setting(
        "policy",
        policy,
        "pin",
        "What becomes of a memory when a new version is served: pin, replay, reset or "
        "refuse.",
    ),
    Setting(
        "policies",
        policies,
        {},
        "The same for single models: nature=replay,taxi=reset.",
    ),
    # Four kilobytes for a model of events, rewritten with each step.
    Setting(
        "history_events",
        positive_int,
        1000,
        "Longest session that can be replayed; kept for models with that policy only.",
    ),
    Setting(
        "memory",
        store_address,
        "lmdb://var/memory",
        "Where sessions live: lmdb://PATH, redis://HOST, rediss://HOST, or memory:// "
        "(one process, for tests); see docs/how-to/stores.md.",
    ),
    Setting(
        "max_sessions",
        natural,
        0,
        "Maximum number of stored sessions, tombstones included. Further new sessions "
        "get 503. 0: unlimited.",
    ),
    Setting(
        "max_memory_bytes",
        natural,
        0,
        "Maximum size of the store in bytes. Further new sessions get 503. "
        "0: unlimited.",
    ),
    Setting(
        "session_idle_seconds",
        positive_seconds,
        DAY,
        "A session no event reaches for this long expires.",
    ),
    Setting(
        "model_idle_seconds",
        seconds_by_model,
        {},
        "The same for single models: nature=3600,taxi=600.",
    ),
    Setting(
        "tombstone_seconds",
        positive_seconds,
        7 * DAY,
        "How long a session that is gone answers 410 before its id is forgotten.",
    ),
    # Enough for a client that repeats its last few requests after a lost connection.
    Setting(
        "stored_answers",
        positive_int,
        8,
        "How many answers a session keeps to repeat them to the same request.",
    ),
    Setting(
        "stored_answer_bytes",
        positive_int,
        65_536,
        "Most bytes of them in one session.",
    ),
    Setting(
        "stored_answer_seconds",
        positive_seconds,
        DAY,
        "How long an answer can be repeated, while its session is known.",
    ),
    # Each is another copy of the memory in the record that every step rewrites.
    Setting(
        "snapshots",
        natural,
        0,
        "How many earlier memories a session keeps, to be rewound to.",
    ),
    Setting(
        "token_key_file",
        str,
        "var/token.key",
        "File or directory of the keys that seal client-held memory, the last one "
        "sealing; created where missing. All replicas need the same.",
    ),
    Setting(
        "token_seconds",
        positive_seconds,
        DAY,
        "How long a sealed memory can be sent back.",
    ),
    # About 100 bytes a chain, read and written in the transactions of the sessions.
    Setting(
        "token_anti_rollback",
        on_or_off,
        "off",
        "on: a sealed memory older than the newest of its sequence is refused.",
    ),
    Setting(
        "plain_memory",
        plain_memory,
        "show",
        "Client-held memory in the open: off, show (not taken back) or accept.",
    ),
    Setting(
        "capture",
        shares_by_model,
        {},
        "Share of each model's sessions that are written for training, above 0 to 1: "
        "visits=0.1,tickets=1. A session is written whole or not at all. Empty: none.",
    ),
    Setting(
        "capture_folder",
        str,
        "var/capture",
        "Folder of captured events, with a folder for each model.",
    ),
    Setting(
        "capture_file_bytes",
        positive_int,
        16 * 2**20,
        "Size at which a file of captured events is completed.",
    ),
    Setting(
        "capture_file_seconds",
        positive_seconds,
        3600.0,
        "Age in seconds at which a file of captured events is completed.",
    ),
    Setting(
        "capture_max_bytes",
        positive_int,
        2**30,
        "Maximum size of the folder of captured events. The oldest complete files are "
        "deleted to make room.",
    ),
    Setting(
        "capture_tenant",
        on_or_off,
        "off",
        "on: captured events have a column with a keyed hash of the tenant.",
    ),
    Setting(
        "capture_redact",
        str,
        "",
        "Fields that captured events are written without: amount,team.",
    ),
    Setting(
        "api_keys_file",
        str,
        "",
        "File of API keys, `tenant: SHA-256` a line (`python -m service key TENANT`), "
        "read again when it changes; without one everybody is one tenant.",
    ),
    Setting(
        "rate_limit",
        rate,
        "",
        "Maximum requests of a tenant in a time, such as 100/second or 6000/minute. "
        "Further ones get 429. Empty: unlimited.",
    ),
    Setting(
        "rate_limits",
        rates_by_tenant,
        {},
        "The same for single tenants: acme=1000/second,trial=10/minute.",
    ),
    Setting(
        "rate_store",
        rate_store,
        "memory://",
        "Where those requests are counted: memory:// (each worker for itself), "
        "redis://HOST or rediss://HOST (all workers and replicas together).",
    ),
    Setting(
        "concurrency_limit",
        natural,
        0,
        "Maximum requests of a tenant that are under way in a worker. Further ones get "
        "429. 0: unlimited.",
    ),
    Setting(
        "runtime",
        runtime_choice,
        "auto",
        "litert runs compiled programs, tensorflow the SavedModel; auto: litert where "
        "a model has programs.",
    ),
    Setting(
        "request_timeout_seconds",
        positive_seconds,
        30.0,
        "Maximum seconds for a row, and for reading a body. A row not finished by "
        "then is abandoned and its memory unchanged.",
    ),
    # A row of one event takes 20 microseconds when many wait: a third of a second.
    Setting(
        "max_queued_rows",
        positive_int,
        16_384,
        "Maximum number of rows under way in a worker, each other request counted for "
        "no more rows than the one that arrives, at least CARRYOVER_MAX_ROWS. Further "
        "requests get 503.",
    ),
    Setting(
        "state",
        str,
        "var/state",
        "Folder in which the workers share which models are loaded, and statistics.",
    ),
    Setting("host", str, "127.0.0.1", "Address to listen on."),
    Setting("port", port, 8080, "Port to listen on."),
    Setting("workers", positive_int, 2, "Processes; all share the sessions."),
    Setting(
        "connections",
        positive_int,
        2000,
        "Maximum number of connections of a worker. Beyond it 15 more are accepted "
        "for health calls; other requests on them get 503.",
    ),
    # A silent stream is as good as none: its sessions are stored, another one continues
    # them. Proxies end silent connections after a minute or so.
    Setting(
        "stream_idle_seconds",
        positive_seconds,
        600.0,
        "A stream of which no whole line comes for this long is ended; its sessions "
        "stay.",
    ),
    # 4 MiB holds half a million short events: a retry of a day's log in one request.
    Setting(
        "max_body_bytes",
        positive_int,
        4 * 2**20,
        "Longest request body. A worker reads bodies over 64 KiB while their sum is at "
        "most 4 times this; others wait, and get 503 after half of "
        "CARRYOVER_REQUEST_TIMEOUT_SECONDS.",
    ),
    Setting("max_rows", positive_int, 1024, "Most rows in one request."),
    Setting("max_events", positive_int, 10_000, "Most events in one row."),
    # An explained event of an LSTM-128 is 768 numbers, about 9 KB of JSON.
    Setting(
        "max_explained_events",
        positive_int,
        1000,
        "Most events, over all rows, in one explain request.",
    ),
    # Of 16 labels, 100,000 events are about 20 MB of JSON.
    Setting(
        "max_returned_events",
        positive_int,
        100_000,
        'Most events, over all rows, in one predict request with "return": "all".',
    ),
    # A step of 32 paths takes a fraction of a millisecond, so this takes seconds.
    Setting(
        "max_forecast_events",
        positive_int,
        10_000,
        "Most events in one forecast request, over all rows and paths, given ones too.",
    ),
    Setting("log_level", log_level, "info", "debug, info, warning or error."),
)


@dataclass(frozen=True)
class Settings:
    """The settings, read and checked; see `TABLE` for what each means."""

    models: str
    versions: int
    watch_seconds: float
    policy: str
    policies: Mapping[str, str]
    history_events: int
    memory: str
    max_sessions: int
    max_memory_bytes: int
    session_idle_seconds: float
    model_idle_seconds: Mapping[str, float]
    tombstone_seconds: float
    stored_answers: int
    stored_answer_bytes: int
    stored_answer_seconds: float
    snapshots: int
    token_key_file: str
    token_seconds: float
    token_anti_rollback: str
    plain_memory: str
    capture: Mapping[str, float]
    capture_folder: str
    capture_file_bytes: int
    capture_file_seconds: float
    capture_max_bytes: int
    capture_tenant: str
    capture_redact: str
    api_keys_file: str
    rate_limit: str
    rate_limits: Mapping[str, str]
    rate_store: str
    concurrency_limit: int
    runtime: RuntimeChoice
    request_timeout_seconds: float
    max_queued_rows: int
    state: str
    host: str
    port: int
    workers: int
    connections: int
    stream_idle_seconds: float
    max_body_bytes: int
    max_rows: int
    max_events: int
    max_explained_events: int
    max_returned_events: int
    max_forecast_events: int
    log_level: str


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment.

    Raises:
        SettingError: A value does not fit its setting, or a `CARRYOVER_*` name is
            not in the table.
    """
    known = {PREFIX + setting.name.upper() for setting in TABLE}
    for key in sorted(environ):
        if key.startswith(PREFIX) and key not in known:
            raise SettingError(
                f"{key}={show_unknown(key, environ[key])!r} is no setting; the "
                f"settings are {', '.join(sorted(known))}."
            )
    settings = Settings(**{s.name: read_one(s, environ) for s in TABLE})
    if settings.memory.startswith("memory:") and settings.workers > 1:
        raise SettingError(
            f"CARRYOVER_MEMORY={redact(settings.memory)!r} lives in one process, and "
            f"CARRYOVER_WORKERS is {settings.workers}: each worker would remember "
            "other events. Set CARRYOVER_WORKERS=1, or use lmdb://PATH."
        )
    check_rows(settings)
    check_capture(settings)
    return settings


def find_exposure(settings: Settings) -> str | None:
    """Say so where other machines may call the service without a key."""
    host = settings.host.strip("[]")
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if is_local or settings.api_keys_file:
        return None
    return (
        f"CARRYOVER_HOST={settings.host} can be reached by other machines and "
        "CARRYOVER_API_KEYS_FILE is not set: whoever reaches it reads, changes and "
        "deletes every session and unloads models. Make a key with `python -m service "
        "key TENANT` and set the file, or listen on 127.0.0.1 (SECURITY.md)."
    )


def check_rows(settings: Settings) -> None:
    """Refuse limits of rows of which one makes another unreachable.

    Raises:
        SettingError: A request that one allows could never be taken in by the other.
    """
    least = max(settings.max_rows, MAX_WAITING_LINES)
    if settings.max_queued_rows < least:
        raise SettingError(
            f"CARRYOVER_MAX_QUEUED_ROWS={settings.max_queued_rows} is below what one "
            f"request may have: {settings.max_rows} rows (CARRYOVER_MAX_ROWS), or "
            f"{MAX_WAITING_LINES} lines of a stream that are computed together. Set it "
            f"to {least} or more."
        )


def check_capture(settings: Settings) -> None:
    """Refuse a folder without room for the files that are written at once.

    Raises:
        SettingError: Some workers could write nothing.
    """
    least = settings.capture_file_bytes * settings.workers * len(settings.capture)
    if settings.capture_max_bytes < least:
        raise SettingError(
            f"CARRYOVER_CAPTURE_MAX_BYTES={settings.capture_max_bytes} is below the "
            f"{least} bytes of the files that {settings.workers} workers write at "
            f"once, {settings.capture_file_bytes} bytes (CARRYOVER_CAPTURE_FILE_BYTES) "
            f"for each of {len(settings.capture)} models. Set it to {least} or more."
        )


def read_one(setting: Setting, environ: Mapping[str, str]) -> Any:
    """Read one setting, or take its default."""
    key = PREFIX + setting.name.upper()
    if key not in environ:
        return setting.default
    try:
        return setting.read(environ[key])
    except ValueError:
        example = "" if setting.default == {} else f", such as {setting.default}"
        raise SettingError(
            f"{key} has value {show_value(environ[key])!r}; expected "
            f"{EXPECTED[setting.read]}"
            f"{example}."
        ) from None


def describe_settings() -> str:
    """Write the table as Markdown, the text of docs/reference/settings.md."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, _, default, text in TABLE:
        shown = f"{default:g}" if isinstance(default, float) else default
        cell = "" if default in ({}, "") else f"`{shown}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {cell} | {text} |")
    return "\n".join(lines)
