"""gunicorn's logger with lines of JSON, as the service's own are."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from service.telemetry.log_lines import JsonLine


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger of process events: starts, stops, reloads, failures."""

    def setup(self, cfg: Any) -> None:
        """Open the log, at the start and when the configuration is read again."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLine())
