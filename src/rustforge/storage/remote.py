"""Objects in a bucket of S3, or in this process, by obstore."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import re
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import (
    InvalidArgumentError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from rustforge.storage.keys import check_key
from rustforge.storage.objects import DEFAULT_TYPE, Description, StoredObject, quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence

    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ObjectStore

    from rustforge.clock import Clock

__all__ = ["RemoteBackend"]

T = TypeVar("T")

_PART = 8 << 20  # S3 takes 10,000 parts: objects of up to 80 GB
_CONCURRENCY = 2  # with the part that is being filled, 24 MiB are in memory
_PIECE = 1 << 20
_BATCH = 1000
_ABORT_SECONDS = 10.0
_SETTLE_SECONDS = 0.05
_TYPE = "Content-Type"
_DISPOSITION = "Content-Disposition"
_HEADERS = frozenset({_TYPE, _DISPOSITION, "Cache-Control", "Content-Encoding", "Content-Language", "Storage-Class"})
_BEHIND = re.compile(r"status code: 416|range starting at")
_REFUSED = re.compile(r"status code: 40[13]")
_STATUS = re.compile(r"status code: (\d{3}[ A-Za-z]*)")


class RemoteBackend:
    """Objects in a store of obstore."""

    def __init__(self, store: ObjectStore, place: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take the store, and what error messages call it."""
        self.store = store
        self._place = place
        self._clock = clock
        atexit.unregister(_settle)
        atexit.register(_settle)

    async def open(self) -> None:
        """Connect with the first request, not before."""

    async def put(self, key: str, parts: AsyncIterator[bytes], what: Description, *, overwrite: bool) -> StoredObject:
        """Send one request, or parts of 8 MiB that become visible together."""
        first = bytearray()
        async for part in parts:
            first += part
            if len(first) > _PART:
                break
        attributes = {_TYPE: what.content_type, _DISPOSITION: what.disposition, **quoted(what.metadata)}
        size = len(first)
        with self._errors(key, writing=True):
            if size <= _PART:
                result = await obstore.put_async(
                    self.store,
                    key,
                    bytes(first),
                    attributes=attributes,
                    use_multipart=False,
                    mode="overwrite" if overwrite else "create",
                )
            else:
                if not overwrite:
                    await self._absent(key)
                sent = _Parts(bytes(first), parts, None if overwrite else partial(self._absent, key))
                del first
                result = await sent.through(
                    obstore.put_async(
                        self.store,
                        key,
                        sent,
                        attributes=attributes,
                        chunk_size=_PART,
                        max_concurrency=_CONCURRENCY,
                    )
                )
                size = sent.size
        modified = datetime.fromtimestamp(self._clock.time(), UTC)
        return StoredObject(
            key, size, what.content_type, modified, _bare(result["e_tag"]), what.metadata, what.disposition
        )

    async def head(self, key: str) -> StoredObject:
        """Ask for the headers."""
        result = await self._request(key, {"head": True})
        attributes = result.attributes
        metadata = {name: value for name, value in attributes.items() if name not in _HEADERS}
        meta = result.meta
        return StoredObject(
            key,
            meta["size"],
            attributes.get(_TYPE, DEFAULT_TYPE),
            meta["last_modified"],
            _bare(meta["e_tag"]),
            unquoted(metadata),
            attributes.get(_DISPOSITION, "attachment"),
        )

    async def stream(self, key: str, start: int, end: int | None, etag: str | None = None) -> AsyncIterator[bytes]:
        """Receive the bytes in pieces of about 1 MiB."""
        options: GetOptions = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        if etag is not None:
            options["if_match"] = f'"{etag}"'
        if end is not None and end <= start:
            found = await self.head(key)
            if etag not in {None, found.etag}:
                raise ObjectNotFoundError(key)
            return
        with self._errors(key):
            try:
                result = await obstore.get_async(self.store, key, options=options)
            except BaseError as error:
                if "range" in options and _BEHIND.search(str(error)):
                    return
                raise
        pieces = aiter(result.stream(min_chunk_size=_PIECE))
        while True:
            with self._errors(key):
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            for begin in range(0, len(piece), _PIECE):  # memory gives all at once
                yield bytes(piece[begin : begin + _PIECE])

    async def get(self, key: str) -> bytes:
        """Receive all bytes."""
        result = await self._request(key, {})
        with self._errors(key):
            return bytes(await result.bytes_async())

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove up to 1,000 objects with a request."""
        for start in range(0, len(keys), _BATCH):
            batch = list(keys[start : start + _BATCH])
            with self._errors(batch[0], writing=True):
                await self._delete(batch)

    async def _delete(self, keys: list[str], tries: int = 3) -> None:
        try:
            await obstore.delete_async(self.store, keys)
        except BaseError as error:
            if tries == 1 or "kind: Interrupted" not in str(error):
                raise
            await self._delete(keys, tries - 1)  # the store sends no POST again whose connection was lost

    async def copy(self, source: str, target: str) -> None:
        """Let the store copy, which it does with headers and metadata."""
        with self._errors(source):
            await obstore.copy_async(self.store, source, target)

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Receive the objects by the thousand."""
        stream: Any = obstore.list(self.store, prefix or None, chunk_size=_BATCH)  # pyright: ignore[reportUnknownMemberType] - an overload for Arrow
        batches: AsyncIterator[Sequence[ObjectMeta]] = aiter(stream)
        while True:
            with self._errors(prefix):
                try:
                    batch = await anext(batches)
                except StopAsyncIteration:
                    return
            for meta in batch:
                with contextlib.suppress(InvalidArgumentError):  # what others put there
                    key = check_key(meta["path"])
                    yield StoredObject(key, meta["size"], None, meta["last_modified"], _bare(meta["e_tag"]))

    async def _request(self, key: str, options: GetOptions) -> GetResult:
        with self._errors(key):
            return await obstore.get_async(self.store, key, options=options)

    async def _absent(self, key: str) -> None:
        with contextlib.suppress(ObjectNotFoundError):
            await self.head(key)
            raise ObjectExistsError(key)

    @contextlib.contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Generator[None]:
        """Raise our errors in place of the store's, whose texts are long and name addresses."""
        refused = f"{self._place} refused access: check the credentials, and what they permit"
        try:
            yield
        except _SourceError as error:
            raise error.reason from error.reason.__cause__
        except AlreadyExistsError as error:
            raise ObjectExistsError(key) from error
        except PreconditionError:
            raise ObjectNotFoundError(key) from None  # of that version
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageUnavailableError(refused) from error
        except (BaseError, FileNotFoundError) as error:
            text = str(error)
            if "NoSuchBucket" in text or (writing and isinstance(error, FileNotFoundError)):
                msg = f"{self._place}: there is no such bucket"
                raise StorageError(msg) from error
            if isinstance(error, FileNotFoundError):
                raise ObjectNotFoundError(key) from None
            if _REFUSED.search(text):  # of a list
                raise StorageUnavailableError(refused) from error
            msg = f"{self._place} cannot be used: {_reason(text)}"
            raise StorageUnavailableError(msg) from error


class _SourceError(Exception):
    """The source of an object raised an error, which must not be taken for one of the store."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class _Parts:
    """The pieces of an object that is stored in parts. The store gives all parts up when these raise an error."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], check: Callable[[], Awaitable[None]] | None) -> None:
        """Take the pieces, and what is to be checked before the last part."""
        self._first = first
        self._rest = rest
        self._check = check
        self._waiting: asyncio.Future[bytes] | None = None
        self._cancelled = False
        self._failure: _SourceError | None = None
        self.size = 0

    async def through(self, put: Awaitable[T]) -> T:
        """Wait for the store; who is cancelled lets it give up the parts first."""
        work = asyncio.ensure_future(put)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._cancelled = True
            if self._waiting is not None:
                self._waiting.cancel()
            await asyncio.wait([work], timeout=_ABORT_SECONDS)
            if not work.done():
                work.cancel()
            elif not work.cancelled():
                work.exception()
            raise
        except BaseError:
            if self._failure is not None:  # and then the store could not give up the parts
                raise self._failure from None
            raise

    def __aiter__(self) -> _Parts:
        return self

    async def __anext__(self) -> bytes:
        if self._cancelled:
            raise _SourceError(asyncio.CancelledError())
        if self._first:
            piece, self._first = self._first, b""
        else:
            piece = await self._next()
        self.size += len(piece)
        return piece

    async def _next(self) -> bytes:
        try:
            self._waiting = asyncio.ensure_future(anext(self._rest))
            return await self._waiting
        except StopAsyncIteration:
            if self._check is not None:
                try:
                    await self._check()
                except Exception as error:
                    self._failure = _SourceError(error)
                    raise self._failure from error
            raise
        except (Exception, asyncio.CancelledError) as error:
            self._failure = _SourceError(error)
            raise self._failure from error


def _settle() -> None:
    """Let the store's own threads end what they do with Python's objects; one that is too late aborts the process."""
    time.sleep(_SETTLE_SECONDS)


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _reason(text: str) -> str:
    """Say in a few words what a text of the store means."""
    if "169.254.169.254" in text:
        return "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them in the URL"
    if "redirect without LOCATION" in text:
        return "the bucket is in another region; add ?region= to the URL"
    status = _STATUS.search(text)
    return f"it answered {status[1].strip()}" if status else "it cannot be reached, or did not answer in time"
