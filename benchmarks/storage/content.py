"""What is uploaded: bytes that begin like a PDF and cannot be packed, in pieces as servers receive them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PIECE = 1 << 16
"""Bytes of one piece: what a server takes off a connection at a time."""
TYPE = "application/pdf"
_MARK = b"%PDF-1.7\n"
_REST = [memoryview(random.Random(number).randbytes(PIECE)) for number in range(16)]  # before anything is timed
_FIRST = memoryview(_MARK + _REST[0][len(_MARK) :])


def pieces(size: int) -> Iterator[bytes]:
    """Give a file of so many bytes, piece by piece, and each in memory of its own."""
    for number, start in enumerate(range(0, size, PIECE)):
        piece = _REST[number % len(_REST)] if number else _FIRST
        yield bytes(piece[: size - start])


async def stream(size: int) -> AsyncIterator[bytes]:
    """Give the same, for those who wait."""
    for piece in pieces(size):
        yield piece
