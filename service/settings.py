"""The settings: one table that drives parsing, `--help` and docs/reference/settings.md.

Every setting is an environment variable `CARRYOVER_*` (12-factor). A bad value or an
unknown `CARRYOVER_*` name stops the start and names both key and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import Any, get_type_hints

from service.common.setting_types import (
    LogLevel,
    Natural,
    OnOrOff,
    PlainMemory,
    PolicyByModel,
    Port,
    PositiveInt,
    PositiveSeconds,
    Rate,
    RateByTenant,
    RateStore,
    Runtime,
    SecondsByModel,
    SecondsOrNever,
    Setting,
    ShareByModel,
    StoreAddress,
    Text,
    VersionPolicy,
    find_expected,
    list_store_forms,
    read_text,
    setting,
)
from service.common.text import redact, show_unknown, show_value

PREFIX = "CARRYOVER_"
DAY = 86_400.0
# Lines of a stream that one batch may have.
MAX_WAITING_LINES = 256


class SettingError(Exception):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """The settings, read and checked: each by its type, its default and its meaning."""

    models: Text = setting("artifacts", "Folder of models, <name>/<version>/ each.")
    versions: PositiveInt = setting(
        2, "How many versions of a model are served, the newest first."
    )
    watch_seconds: SecondsOrNever = setting(
        0.0,
        "How often the folder of models is looked at for new versions, which are then"
        " served without a call. 0: never.",
    )
    policy: VersionPolicy = setting(
        "pin",
        "What becomes of a memory when a new version is served: pin, replay, reset or"
        " refuse.",
    )
    policies: PolicyByModel = setting(
        {}, "The same for single models: nature=replay,taxi=reset."
    )
    # Four kilobytes for a model of events, rewritten with each step.
    history_events: PositiveInt = setting(
        1000,
        "Longest session that can be replayed; kept for models with that policy only.",
    )
    memory: StoreAddress = setting(
        "lmdb://var/memory",
        f"Where sessions live: {list_store_forms()} "
        "(one process, for tests); see docs/how-to/stores.md.",
    )
    max_sessions: Natural = setting(
        0,
        "Maximum number of stored sessions, tombstones included. Further new sessions"
        " get 503. 0: unlimited.",
    )
    max_memory_bytes: Natural = setting(
        0,
        "Maximum size of the store in bytes. Further new sessions get 503. 0: "
        "unlimited.",
    )
    session_idle_seconds: PositiveSeconds = setting(
        DAY, "A session no event reaches for this long expires."
    )
    model_idle_seconds: SecondsByModel = setting(
        {}, "The same for single models: nature=3600,taxi=600."
    )
    tombstone_seconds: PositiveSeconds = setting(
        7 * DAY,
        "How long a session that is gone answers 410 before its id is forgotten.",
    )
    # Enough for a client that repeats its last few requests after a lost connection.
    stored_answers: PositiveInt = setting(
        8, "How many answers a session keeps to repeat them to the same request."
    )
    stored_answer_bytes: PositiveInt = setting(
        65_536, "Most bytes of them in one session."
    )
    stored_answer_seconds: PositiveSeconds = setting(
        DAY, "How long an answer can be repeated, while its session is known."
    )
    # Each is another copy of the memory in the record that every step rewrites.
    snapshots: Natural = setting(
        0, "How many earlier memories a session keeps, to be rewound to."
    )
    token_key_file: Text = setting(
        "var/token.key",
        "File or directory of the keys that seal client-held memory, the last one "
        "sealing; created where missing. All replicas need the same.",
    )
    token_seconds: PositiveSeconds = setting(
        DAY, "How long a sealed memory can be sent back."
    )
    # About 100 bytes a chain, read and written in the transactions of the sessions.
    token_anti_rollback: OnOrOff = setting(
        "off", "on: a sealed memory older than the newest of its sequence is refused."
    )
    plain_memory: PlainMemory = setting(
        "show", "Client-held memory in the open: off, show (not taken back) or accept."
    )
    capture: ShareByModel = setting(
        {},
        "Share of each model's sessions that are written for training, above 0 to 1: "
        "visits=0.1,tickets=1. A session is written whole or not at all. Empty: none.",
    )
    capture_folder: Text = setting(
        "var/capture", "Folder of captured events, with a folder for each model."
    )
    capture_file_bytes: PositiveInt = setting(
        16 * 2**20, "Size at which a file of captured events is completed."
    )
    capture_file_seconds: PositiveSeconds = setting(
        3600.0, "Age in seconds at which a file of captured events is completed."
    )
    capture_max_bytes: PositiveInt = setting(
        2**30,
        "Maximum size of the folder of captured events. The oldest complete files are"
        " deleted to make room.",
    )
    capture_tenant: OnOrOff = setting(
        "off", "on: captured events have a column with a keyed hash of the tenant."
    )
    capture_redact: Text = setting(
        "", "Fields that captured events are written without: amount,team."
    )
    api_keys_file: Text = setting(
        "",
        "File of API keys, `tenant: SHA-256` a line (`python -m service key TENANT`),"
        " read again when it changes; without one everybody is one tenant.",
    )
    rate_limit: Rate = setting(
        "",
        "Maximum requests of a tenant in a time, such as 100/second or 6000/minute. "
        "Further ones get 429. Empty: unlimited.",
    )
    rate_limits: RateByTenant = setting(
        {}, "The same for single tenants: acme=1000/second,trial=10/minute."
    )
    rate_store: RateStore = setting(
        "memory://",
        "Where those requests are counted: memory:// (each worker for itself), "
        "redis://HOST or rediss://HOST (all workers and replicas together).",
    )
    concurrency_limit: Natural = setting(
        0,
        "Maximum requests of a tenant that are under way in a worker. Further ones "
        "get 429. 0: unlimited.",
    )
    runtime: Runtime = setting(
        "auto",
        "litert runs compiled programs, tensorflow the SavedModel; auto: litert where"
        " a model has programs.",
    )
    request_timeout_seconds: PositiveSeconds = setting(
        30.0,
        "Maximum seconds for a row, and for reading a body. A row not finished by "
        "then is abandoned and its memory unchanged.",
    )
    # A row of one event takes 20 microseconds when many wait: a third of a second.
    max_queued_rows: PositiveInt = setting(
        16_384,
        "Maximum number of rows under way in a worker, each other request counted for"
        " no more rows than the one that arrives, at least CARRYOVER_MAX_ROWS. "
        "Further requests get 503.",
    )
    state: Text = setting(
        "var/state",
        "Folder in which the workers share which models are loaded, and statistics.",
    )
    host: Text = setting("127.0.0.1", "Address to listen on.")
    port: Port = setting(8080, "Port to listen on.")
    workers: PositiveInt = setting(2, "Processes; all share the sessions.")
    connections: PositiveInt = setting(
        2000,
        "Maximum number of connections of a worker. Beyond it 15 more are accepted "
        "for health calls; other requests on them get 503.",
    )
    # A silent stream is as good as none: its sessions are stored, another one continues
    # them. Proxies end silent connections after a minute or so.
    stream_idle_seconds: PositiveSeconds = setting(
        600.0,
        "A stream of which no whole line comes for this long is ended; its sessions "
        "stay.",
    )
    # 4 MiB holds half a million short events: a retry of a day's log in one request.
    max_body_bytes: PositiveInt = setting(
        4 * 2**20,
        "Longest request body. A worker reads bodies over 64 KiB while their sum is "
        "at most 4 times this; others wait, and get 503 after half of "
        "CARRYOVER_REQUEST_TIMEOUT_SECONDS.",
    )
    max_rows: PositiveInt = setting(1024, "Most rows in one request.")
    max_events: PositiveInt = setting(10_000, "Most events in one row.")
    # An explained event of an LSTM-128 is 768 numbers, about 9 KB of JSON.
    max_explained_events: PositiveInt = setting(
        1000, "Most events, over all rows, in one explain request."
    )
    # Of 16 labels, 100,000 events are about 20 MB of JSON.
    max_returned_events: PositiveInt = setting(
        100_000,
        'Most events, over all rows, in one predict request with "return": "all".',
    )
    # A step of 32 paths takes a fraction of a millisecond, so this takes seconds.
    max_forecast_events: PositiveInt = setting(
        10_000,
        "Most events in one forecast request, over all rows and paths, given ones too.",
    )
    log_level: LogLevel = setting("info", "debug, info, warning or error.")


KINDS = get_type_hints(Settings, include_extras=True)
TABLE = tuple(
    Setting(one.name, KINDS[one.name], one.metadata["default"], one.metadata["help"])
    for one in fields(Settings)
)


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
    """Read one setting, or take its default.

    Raises:
        SettingError: Its text cannot be read, or is outside its limits.
    """
    key = PREFIX + setting.name.upper()
    if key not in environ:
        return setting.default
    try:
        return read_text(setting.kind, environ[key])
    except ValueError:
        example = "" if setting.default == {} else f", such as {setting.default}"
        raise SettingError(
            f"{key} has value {show_value(environ[key])!r}; expected "
            f"{find_expected(setting.kind)}{example}."
        ) from None


def describe_settings() -> str:
    """Write the table as Markdown, the text of docs/reference/settings.md."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, _, default, text in TABLE:
        shown = f"{default:g}" if isinstance(default, float) else default
        cell = "" if default in ({}, "") else f"`{shown}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {cell} | {text} |")
    return "\n".join(lines)
