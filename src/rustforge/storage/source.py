"""Where the bytes of an object come from: bytes, a file, or an iterable of pieces."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from rustforge.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["AsyncFile", "Progress", "Source", "pieces", "watched"]

Buffer: TypeAlias = bytes | bytearray | memoryview


class AsyncFile(Protocol):
    """A file whose `read` is awaited, such as FastAPI's `UploadFile`."""

    async def read(self, size: int = ..., /) -> bytes:
        """Read up to `size` bytes; none at the end."""
        ...


Source: TypeAlias = Buffer | IO[bytes] | AsyncFile | Iterable[Buffer] | AsyncIterable[Buffer]
"""Bytes, a binary file, or pieces of bytes that come one after the other, with or without asyncio."""

Progress: TypeAlias = "Callable[[int], object]"
"""Called with the number of bytes that were taken so far; it is awaited where it returns something to await."""

_READ = 1 << 18
_SLICE = 1 << 20
_END: Any = object()


async def pieces(source: Source) -> AsyncIterator[bytes]:
    """Give the bytes of a source, piece by piece; what blocks runs in a thread."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        whole = memoryview(source).cast("B")
        for start in range(0, len(whole), _SLICE):
            yield bytes(whole[start : start + _SLICE])
    elif isinstance(source, str):
        msg = "an object is made of bytes, not str: encode the text, as in text.encode()"
        raise InvalidTypeError(msg)
    elif callable(getattr(source, "read", None)):
        async for piece in _read(source):
            yield piece
    elif isinstance(source, AsyncIterable):
        async for part in source:
            yield _checked(part)
    elif isinstance(source, Iterable):
        iterator: Iterator[Any] = iter(source)
        while (given := await asyncio.to_thread(lambda: next(iterator, _END))) is not _END:
            yield _checked(given)
    else:
        msg = f"an object is made of bytes, a binary file or an iterable of bytes, not {type(source).__name__}"
        raise InvalidTypeError(msg)


async def watched(parts: AsyncIterator[bytes], progress: Progress | None) -> AsyncIterator[bytes]:
    """Pass pieces on, and tell how many bytes they were so far; empty ones are left out."""
    done = 0
    async for piece in parts:
        if piece:
            yield piece
            done += len(piece)
            if progress is not None:
                answer = progress(done)
                if isinstance(answer, Awaitable):
                    await answer


async def _read(source: Any) -> AsyncIterator[bytes]:
    if inspect.iscoroutinefunction(source.read):
        while piece := _checked(await source.read(_READ)):
            yield piece
    else:
        while piece := _checked(await asyncio.to_thread(source.read, _READ)):
            yield piece


def _checked(piece: object) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray):
        return bytes(piece)
    if isinstance(piece, memoryview):
        return piece.tobytes()
    msg = f"an object is made of bytes, and the source gave {type(piece).__name__}; open files with 'rb'"
    raise InvalidTypeError(msg)
