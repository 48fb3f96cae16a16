"""Glob patterns as Redis reads them, over bytes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["matcher"]

_BACKSLASH, _CARET, _CLOSE, _DASH, _OPEN, _QUESTION, _STAR = b"\\^]-[?*"
_NO_CHARACTER = b"(?!)"
_ANY_CHARACTER = b"."


@lru_cache(maxsize=256)
def matcher(pattern: bytes) -> Callable[[bytes], object]:
    """Make the function that tells whether a key matches: its result is true or false in a condition.

    Args:
        pattern: `*`, `?`, `[abc]`, `[a-z]`, `[^a]` and a backslash before a literal character; see KEYS.
    """
    if pattern == b"*":
        return _everything
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        expression = pieces[0] + rb"\Z"
    else:
        # A piece between two stars is taken where it first fits and never again elsewhere: no backtracking.
        middle = b"".join(b"(?>.*?" + piece + b")" for piece in pieces[1:-1] if piece)
        expression = pieces[0] + middle + (b".*" + pieces[-1] + rb"\Z" if pieces[-1] else b"")
    matches = re.compile(expression, re.DOTALL).match
    # Redis compares nothing with an empty key, so only the empty pattern, and the lone star above, match it.
    return lambda key: matches(key) if key else not pattern


def _everything(_: bytes) -> bool:
    return True


def _pieces(pattern: bytes) -> list[bytes]:
    """Translate what stands between the stars into regular expressions."""
    pieces = [b""]
    index = 0
    while index < len(pattern):
        char = pattern[index]
        index += 1
        if char == _STAR:
            pieces.append(b"")
            continue
        if char == _QUESTION:
            piece = _ANY_CHARACTER
        elif char == _OPEN:
            piece, index = _class(pattern, index)
        else:
            if char == _BACKSLASH and index < len(pattern):
                char = pattern[index]
                index += 1
            piece = re.escape(bytes((char,)))
        pieces[-1] += piece
    return pieces


def _class(pattern: bytes, index: int) -> tuple[bytes, int]:
    """Translate a class, whose `[` was read; return it and the place after it. It may lack its `]`."""
    negated = pattern[index : index + 1] == b"^"
    index += negated
    members = b""
    while index < len(pattern) and pattern[index] != _CLOSE:
        first = last = pattern[index]
        if first == _BACKSLASH and index + 1 < len(pattern):
            first = last = pattern[index + 1]
            index += 2
        elif index + 2 < len(pattern) and pattern[index + 1] == _DASH:
            first, last = sorted((first, pattern[index + 2]))
            index += 3
        else:
            index += 1
        members += b"\\x%02x-\\x%02x" % (first, last)
    if members:
        return (b"[^" if negated else b"[") + members + b"]", index + 1
    return (_ANY_CHARACTER if negated else _NO_CHARACTER), index + 1
