"""A project that has neither a database nor files, on a machine that lacks what they need."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rustforge.errors import DatabaseError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.boot import BootContext


class _Missing:
    """An import system in which two libraries are not installed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        """Refuse them."""
        if name in {"sqlalchemy", "obstore"}:
            raise ModuleNotFoundError(name=name)


sys.meta_path.insert(0, _Missing)


async def test_cache_and_queue(rustforge_ctx: BootContext) -> None:
    """The rest of the context works, and says what it lacks when it is asked for."""
    await rustforge_ctx.cache.set("a", "1")
    assert await rustforge_ctx.queue.size() == 0
    with pytest.raises(DatabaseError, match=r"sqlalchemy is not installed; it comes with: pip install 'rustforge\[sql"):
        _ = rustforge_ctx.db
    with pytest.raises(StorageError, match="obstore is not installed"):
        _ = rustforge_ctx.storage
