"""The Lua scripts of the queues: each file in `lua/` behind the functions that all of them share.

They are the whole of what happens to a job in Redis, and few enough to be read against the invariants.
"""

from __future__ import annotations

from importlib import resources

from rustforge.redis import Script

__all__ = ["BATCH", "ENQUEUE", "MANAGE", "SETTLE", "WORKER", "load"]


def load(name: str) -> Script:
    """Read the script of that file."""
    folder = resources.files("rustforge.jobs").joinpath("lua")
    return Script(name, "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name)))


BATCH = load("batch")
ENQUEUE = load("enqueue")
MANAGE = load("manage")
SETTLE = load("settle")
WORKER = load("worker")
