"""The command `rustforge`: workers, schedulers, and what people ask of queues and failed jobs."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from rustforge.cli.app import app  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"rich", "typer"}:
            raise
        sys.exit(f"Error: {error.name} is not installed; it comes with: pip install 'rustforge[cli]'")
    app()
