"""The API key that every request presents, to every contender alike.

Checking it is part of what the service is measured at.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from service.settings import TABLE

KEY = "carryover_" + 43 * "k"
HEADER = f"Bearer {KEY}"
# Before the service had keys, everybody was one tenant without a name.
HAS_KEYS = any(setting.name == "api_keys_file" for setting in TABLE)
TENANT = "bench" if HAS_KEYS else ""


def write_keys(home: Path) -> dict[str, str]:
    """Write the keys file; return the setting that names it."""
    if not HAS_KEYS:
        return {}
    file = home / "keys"
    # perf_analyzer reads a model's statistics, which the scope admin allows.
    scopes = "scope=predict,sessions,admin"
    file.write_text(f"{TENANT}: {sha256(KEY.encode()).hexdigest()} {scopes}\n")
    return {"CARRYOVER_API_KEYS_FILE": str(file)}
