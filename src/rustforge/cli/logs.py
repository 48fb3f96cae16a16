"""How workers and schedulers log: lines for people, or JSON for what collects them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

__all__ = ["FIELDS", "set_up"]

FIELDS = ("job_id", "job_name", "queue", "attempt")
"""What the records of `ctx.logger` carry beside their message."""


class _Lines(logging.Formatter):
    """One line a record, with the fields of a job at its end."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        facts = _facts(record)
        text = " ".join([record.getMessage(), *[f"{name}={value}" for name, value in facts.items()]])
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {text}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        found: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info is not None:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def set_up(level: str, *, as_json: bool) -> None:
    """Log to standard error.

    Args:
        level: The least level that is shown.
        as_json: Whether each record is a JSON object.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if logging.root.level > logging.DEBUG:
        logging.getLogger("alembic").setLevel(max(logging.root.level, logging.WARNING))  # it tells what it loads


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
