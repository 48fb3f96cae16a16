"""What stands on a connection of its own, and is awaited, or used with `async with`, to be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rustforge.redis.client import RedisClient

__all__ = ["Opening"]


class _Opened(Protocol):
    owns_client: bool

    @property
    def client(self) -> RedisClient: ...

    async def aclose(self) -> None: ...


T = TypeVar("T", bound=_Opened)


class Opening(Generic[T]):
    """Opens something on a connection of its own; what fails on the way is closed again."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Say what makes it, on a client that is not open yet."""
        self._make = make
        self._opened: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        """Connect; the caller closes it."""
        return self._open().__await__()

    async def __aenter__(self) -> T:
        """Connect."""
        self._opened = await self._open()
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._opened is not None:
            await self._opened.aclose()

    async def _open(self) -> T:
        made = self._make()
        made.owns_client = True
        try:
            await made.client.open()
        except BaseException:
            await made.aclose()
            raise
        return made
