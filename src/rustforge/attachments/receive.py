"""Taking in what somebody sent: bounded while it comes, looked at as a whole, and stored only then."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, cast

from rustforge.attachments.detect import extension_of, types_of
from rustforge.attachments.images import IMAGES, rewrite
from rustforge.attachments.input import AttachmentInput
from rustforge.errors import AttachmentRejectedError, StorageError
from rustforge.names import clean_name
from rustforge.storage.keys import new_key
from rustforge.storage.source import pieces, watched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rustforge.attachments.rules import AttachmentRules
    from rustforge.storage import Storage
    from rustforge.storage.source import Progress, Source

__all__ = ["accept", "receive"]

_logger = logging.getLogger("rustforge.attachments")

_IN_MEMORY = 1024 * 1024
_WORKERS = 4
_MEBIBYTE = 1024 * 1024


async def receive(
    storage: Storage,
    source: Source,
    rules: AttachmentRules,
    *,
    owner: str,
    field: str,
    name: str | None = None,
    progress: Progress | None = None,
) -> AttachmentInput:
    """Check a file that somebody sent, and store it.

    What comes is counted while it comes, and kept in a temporary file from 1 MiB on, so that memory is bounded however
    large it is. Its type is read from its bytes. An image is decoded and written anew, upright, in the size that the
    rules ask for, without metadata and whatever else was in the file. Nothing is stored before all that went well.

    Args:
        storage: Where it is stored.
        source: The bytes: an upload of FastAPI, an iterable of pieces with or without asyncio, a binary file, `bytes`.
        rules: What may be attached.
        owner: What it will belong to, such as the table's name. It begins the key.
        field: The slot's name. It comes second in the key, and errors name it.
        name: What the client calls the file; for people to read. It has no part in the key or the type.
        progress: Called with the number of bytes that came so far.

    Returns:
        What is to be attached, with the key that the server made for it.

    Raises:
        AttachmentRejectedError: The rules do not allow it. Nothing was stored.
        InvalidArgumentError: Owner or field cannot stand in a key.
        StorageError: The storage could not take it.

    Example:
        ```python
        cover = await receive(ctx.storage, upload, rules, owner="articles", field="cover", name=upload.filename)
        ```
    """
    new_key(owner, field, "")  # refuse a wrong name before anything is read
    called = clean_name(name) or None
    try:
        async with _spooled(source, rules, progress) as (file, size, checksum):
            found = await _in_worker(functools.partial(_examine, file, size, checksum, rules))
            key = new_key(owner, field, extension_of(found.content_type))
            await storage.put(
                key, found.content, content_type=found.content_type, filename=called, inline=found.width is not None
            )
    except AttachmentRejectedError as error:
        error.field = field
        raise
    return AttachmentInput(
        key, found.content_type, found.size, found.width, found.height, name=called, checksum=found.checksum
    )


async def accept(
    storage: Storage,
    token: str,
    rules: AttachmentRules,
    *,
    owner: str,
    field: str,
    name: str | None = None,
) -> AttachmentInput:
    """Check a file that a client uploaded directly, and store it under a key of its own.

    The client could send its bytes again until its permission expires, so it is the bytes that were checked which are
    stored, and never those that lie in the quarantine by then. The quarantine is cleared afterwards, also of a file
    that is refused.

    Args:
        storage: The storage whose `presign_upload` gave the permission.
        token: The token that came with it.
        rules: What may be attached.
        owner: As for [`receive`][rustforge.attachments.receive].
        field: As for `receive`.
        name: As for `receive`.

    Returns:
        What is to be attached.

    Raises:
        AttachmentRejectedError: The rules do not allow it. Nothing is left of it.
        ObjectNotFoundError: Nothing was uploaded yet, or it was accepted already.
        StorageTokenError: The token is not one of this storage, or has expired.
    """
    grant = storage.read_upload_token(token)
    try:
        found = await storage.head(grant.key)
        if found.size > min(grant.max_size, rules.max_size):
            raise _too_large(min(grant.max_size, rules.max_size))
        coming = storage.stream(grant.key, etag=found.etag)
        stored = await receive(storage, coming, rules, owner=owner, field=field, name=name)
    except AttachmentRejectedError as error:
        error.field = field
        await _discard(storage, grant.key)
        raise
    await _discard(storage, grant.key)
    return stored


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that may be stored."""

    content: IO[bytes] | bytes
    content_type: str
    size: int
    checksum: str
    width: int | None = None
    height: int | None = None


@asynccontextmanager
async def _spooled(
    source: Source, rules: AttachmentRules, progress: Progress | None
) -> AsyncGenerator[tuple[IO[bytes], int, str]]:
    """Keep what comes in a temporary file, and give it with its size and checksum."""
    digest = hashlib.sha256()
    size = 0
    block = bytearray()
    with SpooledTemporaryFile(_IN_MEMORY) as spool:
        file = cast("IO[bytes]", spool)

        def write(data: bytearray) -> None:
            digest.update(data)
            file.write(data)

        async for piece in watched(pieces(source), progress):
            size += len(piece)
            if size > rules.max_size:
                raise _too_large(rules.max_size)
            block += piece
            if len(block) >= _IN_MEMORY:
                await asyncio.to_thread(write, block)
                block = bytearray()
        if not size:
            raise AttachmentRejectedError(reason="empty", text="The file is empty.")
        await asyncio.to_thread(write, block)
        yield file, size, digest.hexdigest()


def _examine(file: IO[bytes], size: int, checksum: str, rules: AttachmentRules) -> _Found:
    """Look at a file, and write it anew if it is an image."""
    content_type = rules.choose(types_of(file))
    if content_type is None:
        text = "Files of this type cannot be attached; those that can are: {types}."
        raise AttachmentRejectedError(reason="type_not_allowed", text=text, types=", ".join(rules.allowed))
    if content_type not in IMAGES:
        file.seek(0)
        return _Found(file, content_type, size, checksum)
    picture = rewrite(file, content_type, max_pixels=rules.max_pixels, resize=rules.resize)
    checksum = hashlib.sha256(picture.data).hexdigest()
    return _Found(
        picture.data, picture.content_type, len(picture.data), checksum, width=picture.width, height=picture.height
    )


async def _in_worker(examine: functools.partial[_Found]) -> _Found:
    """Run what takes the CPU in a thread; there are few, as each may hold a decoded image."""
    return await asyncio.get_running_loop().run_in_executor(_workers(), examine)


@functools.cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), thread_name_prefix="rustforge-attachments")


def _too_large(max_size: int) -> AttachmentRejectedError:
    bound = f"{max_size // _MEBIBYTE} MiB" if max_size % _MEBIBYTE == 0 else f"{max_size:,} bytes"
    return AttachmentRejectedError(reason="too_large", text="The file is larger than {size}.", size=bound)


async def _discard(storage: Storage, key: str) -> None:
    """Clear the quarantine; what cannot be removed now is swept later."""
    try:
        await storage.delete(key)
    except StorageError as error:
        _logger.warning("A direct upload stays in the quarantine until it is swept: %s", error)
