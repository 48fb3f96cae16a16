"""How much memory a process holds, and the most that it held."""

from __future__ import annotations

import gc
import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK = "5"


def begin() -> int:
    """Return the bytes that this process holds; from here on the most is counted anew, where the system can."""
    gc.collect()
    if not _CLEAR.exists():
        return most()
    _CLEAR.write_text(_PEAK)
    return _field("VmRSS")


def most() -> int:
    """Return the most bytes that this process held since `begin`, or since it started."""
    if _CLEAR.exists():
        return _field("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _field(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
