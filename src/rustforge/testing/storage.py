"""A storage in memory that can be asked what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.clock import SYSTEM_CLOCK
from rustforge.storage import Storage

if TYPE_CHECKING:
    from rustforge.clock import Clock

__all__ = ["FakeStorage"]

_SHOWN = 20


class FakeStorage(Storage):
    """A storage at `memory://`, empty at the start, with assertions.

    Example:
        ```python
        storage = FakeStorage()  # in tests it is ctx.storage
        await storage.put("reports/today.txt", b"all is well")
        await storage.assert_exists("reports/today.txt")
        ```
    """

    def __init__(self, *, secret: str | None = None, base_url: str = "/files", clock: Clock = SYSTEM_CLOCK) -> None:
        """Start with nothing.

        Args:
            secret: What signs URLs and tokens; `None` makes one.
            base_url: Where `files_app` is mounted.
            clock: The clock of signatures and times.
        """
        super().__init__("memory://", secret=secret, base_url=base_url, clock=clock)

    async def assert_exists(self, *keys: str) -> None:
        """Fail unless there are objects under all of these keys.

        Raises:
            AssertionError: One is missing. The message lists what there is.
        """
        missing = [key for key in keys if not await self.exists(key)]
        if missing:
            await self._fail(f"expected objects that are not there: {', '.join(missing)}")

    async def assert_missing(self, *keys: str) -> None:
        """Fail if there is an object under one of these keys.

        Raises:
            AssertionError: There is one. The message lists what there is.
        """
        found = [key for key in keys if await self.exists(key)]
        if found:
            await self._fail(f"expected no objects under {', '.join(found)}")

    async def assert_count(self, count: int, prefix: str = "") -> None:
        """Fail unless there is this number of objects.

        Args:
            count: How many.
            prefix: Count only those whose keys start with this.

        Raises:
            AssertionError: There is another number. The message lists what there is.
        """
        found = len([one async for one in self.list(prefix)])
        if found != count:
            await self._fail(f"expected {count} objects{f' under {prefix!r}' if prefix else ''}, found {found}")

    async def _fail(self, what: str) -> None:
        keys = [one.key async for one in self.list()]
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        msg = f"{what}; there {'are ' + ', '.join(keys[:_SHOWN]) + more if keys else 'is nothing'}"
        raise AssertionError(msg)
