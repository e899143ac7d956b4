"""Log lines as JSON, so that one parser reads all of them."""

from __future__ import annotations

import json
import logging

from service.common.times import format_time


class JsonLine(logging.Formatter):
    """Formatter that writes a record as one JSON object on one line.

    Its members are `time` (ISO 8601 in UTC), `level`, `process` (its id), `message`
    and, where there was an exception, `trace`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, object] = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
