"""The Lua scripts of realtime."""

from __future__ import annotations

from importlib import resources

from rustforge.redis import Script

__all__ = ["PRESENCE", "PUBLISH"]


def _load(name: str) -> Script:
    return Script(name, resources.files("rustforge.notify.realtime").joinpath("lua", f"{name}.lua").read_text("utf-8"))


PRESENCE = _load("presence")
PUBLISH = _load("publish")
