"""What a place must do to keep objects. Keys that reach it are sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rustforge.storage.objects import Description, StoredObject

__all__ = ["Backend"]


class Backend(Protocol):
    """A place for objects."""

    async def open(self) -> None:
        """Make ready what can be, and tell early what cannot work."""

    async def put(self, key: str, parts: AsyncIterator[bytes], what: Description, *, overwrite: bool) -> StoredObject:
        """Store an object as a whole or not at all, also when it is cancelled or `parts` raises."""
        ...

    async def head(self, key: str) -> StoredObject:
        """Describe an object, or raise `ObjectNotFoundError`."""
        ...

    def stream(self, key: str, start: int, end: int | None, etag: str | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to `end`, as far as there are any, of just that version if one is given."""
        ...

    async def get(self, key: str) -> bytes:
        """Give all bytes."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are removed already."""

    async def copy(self, source: str, target: str) -> None:
        """Store an object under another key, too, with all that was stored with it."""

    def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Give the objects under whole segments of keys."""
        ...
