"""Results of measurements of the site, kept beside its pages: they are shown without being measured again."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Result", "Row", "load", "save"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "includes" / "quality"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: What was measured, for a reader who does not know the tool.
        value: What was found, with its unit.
        goal: What it should be, with the same unit; empty where there is no goal.
        reached: Whether it is; true without a goal.
        note: Why not, or how it was measured: a sentence of Markdown.
    """

    what: str
    value: str
    goal: str = ""
    reached: bool = True
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What one command found.

    Attributes:
        name: Its name, which is the file's.
        title: The heading under which the page shows it.
        command: How to measure it again.
        measured: The day, as `2026-11-30`.
        machine: Where.
        rows: The figures.
    """

    name: str
    title: str
    command: str
    measured: str
    machine: str
    rows: tuple[Row, ...]


def save(name: str, title: str, command: str, rows: list[Row]) -> None:
    """Keep what was found, with the day and the machine."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    result = Result(name, title, command, datetime.now(UTC).date().isoformat(), machine, tuple(rows))
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")


def load(folder: Path | None = None) -> list[Result]:
    """Read what was kept, by name; here, or in the folder of another working copy."""
    found = [json.loads(file.read_text()) for file in sorted((folder or FOLDER).glob("*.json"))]
    return [Result(**{**one, "rows": tuple(Row(**row) for row in one["rows"])}) for one in found]
