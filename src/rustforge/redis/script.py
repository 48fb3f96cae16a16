"""Lua scripts that run by their digest and survive SCRIPT FLUSH and a server restart."""

from __future__ import annotations

import hashlib

__all__ = ["Script"]


class Script:
    """A Lua script, sent as EVALSHA and once as EVAL where the server does not know it yet.

    Attributes:
        name: What messages and the embedded backend call it.
        source: The Lua text. It sees `KEYS` and `ARGV` as Redis gives them.
        digest: The SHA-1 of the source, in hexadecimal.
    """

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str, source: str) -> None:
        """Name a script and compute its digest."""
        self.name: str = name
        self.source: str = source
        self.digest: str = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        """Show the name, not the source."""
        return f"Script({self.name!r})"
