"""Where and with what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.clients import CLIENTS
from tests.support.servers import server_binary

LIBRARIES = ("hiredis", "pydantic", "uvloop")


def describe() -> dict[str, Any]:
    """Describe the machine and the versions of everything that matters."""
    server = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": f"{server.split()[0]} {server.split('v=')[1].split()[0]}",
        "versions": versions_of(*(client.distribution for client in CLIENTS), *LIBRARIES),
    }


def load() -> float | None:
    """Return the mean number of processes that ran or wanted to, over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def versions_of(*distributions: str) -> dict[str, str | None]:
    """Return the versions of packages; `None` for one that is not installed."""
    return {distribution: _version(distribution) for distribution in distributions}


def _version(distribution: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
