"""The rows of attachments: how they are read, and how two transactions that mean the same object take turns."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rustforge.db.tables import attachments
from rustforge.errors import InvalidArgumentError
from rustforge.storage.keys import check_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Attachment", "attachment_of", "is_key", "lock_path"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a row, as the table `attachments` knows it.

    Attributes:
        id: Its id, a UUID.
        owner_type: The table of the row that it belongs to.
        owner_id: The row's primary key, as text.
        field: The slot.
        position: Its place in a slot for many files; there may be gaps.
        path: The key of the object in the storage.
        content_type: Its media type, as found in its bytes.
        size: Its length in bytes.
        width: An image's width in pixels.
        height: An image's height in pixels.
        name: What the client called it.
        checksum: The SHA-256 of its bytes, in hexadecimal digits.
        meta: What the application keeps with it.
        created_at: When it was attached, in UTC, by the database's clock.
        updated_at: When it was attached, or moved to another place.
    """

    id: str
    owner_type: str
    owner_id: str
    field: str
    position: int
    path: str
    content_type: str
    size: int
    width: int | None
    height: int | None
    name: str | None
    checksum: str | None
    meta: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


def attachment_of(row: RowMapping) -> Attachment:
    """Read a row."""
    columns = {str(name): value for name, value in row.items() if name != "single"}
    return Attachment(**{**columns, "meta": json.loads(columns["meta"])})


def is_key(path: str) -> bool:
    """Tell whether the storage can have such an object; a row of the Rust edition may have a URL."""
    with contextlib.suppress(InvalidArgumentError):
        return bool(check_key(path))
    return False


async def lock_path(session: AsyncSession | AsyncConnection, path: str) -> None:
    """Wait until no other transaction attaches or removes this object; until the end of the caller's."""
    connection = await session.connection() if isinstance(session, AsyncSession) else session
    if connection.dialect.name == "postgresql":
        digest = blake2b(path.encode(), digest_size=8, person=b"attachments").digest()
        await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest, signed=True))))
    else:  # on SQLite whoever writes is alone, and this is a write
        await session.execute(delete(attachments).where(false()))
