"""The Lua scripts of realtime."""

from __future__ import annotations

from importlib import resources

from rustforge.redis import Script

__all__ = ["PRESENCE", "PUBLISH"]


def _load(name: str) -> Script:
    folder = resources.files("rustforge.notify.realtime").joinpath("lua")
    return Script(name, "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name)))


PRESENCE = _load("presence")
PUBLISH = _load("publish")
