"""The storage: objects by key, in a folder, in this process, or in a bucket of S3."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from obstore.store import MemoryStore

from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import ConfigurationError, InvalidArgumentError, ObjectNotFoundError, StorageError
from rustforge.storage.keys import MAX_KEY, QUARANTINE, check_key, check_prefix
from rustforge.storage.local import LocalBackend
from rustforge.storage.objects import (
    DEFAULT_TYPE,
    SAFE_INLINE,
    Description,
    SignedUpload,
    UploadGrant,
    disposition,
    type_of,
)
from rustforge.storage.remote import RemoteBackend
from rustforge.storage.s3 import S3Signer, open_bucket
from rustforge.storage.signing import UPLOAD, Signer, reading, writing
from rustforge.storage.source import pieces, watched
from rustforge.storage.url import StorageUrl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence

    from rustforge.clock import Clock
    from rustforge.storage.backend import Backend
    from rustforge.storage.objects import StoredObject
    from rustforge.storage.source import Progress, Source
    from rustforge.types import Duration

__all__ = ["Storage", "StorageConnecting"]


_LONGEST = 7 * 24 * 3600
_GRANT_SECONDS = 24 * 3600
_LARGEST = 5 << 30  # what S3 takes in one request


class _Memory:
    """What storages of the same name in this process share."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.secret = secrets.token_hex(32)


_named: WeakValueDictionary[str, _Memory] = WeakValueDictionary()


class Storage:
    """Objects by key: in a folder, in this process, or in a bucket of S3, R2 or MinIO.

    An object is there as a whole or not at all, wherever it is. Keys mean the same everywhere: see
    [`check_key`][rustforge.storage.check_key].

    Example:
        ```python
        async with Storage.connect("file:./storage") as storage:
            await storage.put("greetings/hello.txt", b"hello", content_type="text/plain")
            data = await storage.get("greetings/hello.txt")
        ```
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | Sequence[str] | None = None,
        base_url: str = "/files",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Read the URL; nothing is opened before it is needed. Arguments as for `connect`."""
        self._url = StorageUrl.parse(url)
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._memory: _Memory | None = None
        self._signer = None if secret is None else Signer(secret, clock)
        self._s3: S3Signer | None = None
        self._closed = False
        self._backend: Backend = self._place()

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        secret: str | Sequence[str] | None = None,
        base_url: str = "/files",
        clock: Clock = SYSTEM_CLOCK,
    ) -> StorageConnecting:
        """Open a storage.

        Use the result with `async with`, or `await` it and call `aclose()` at the end.

        Args:
            url: `file:./storage`, `memory://`, `s3://bucket/prefix`, `minio://host:9000/bucket` or
                `r2://account/bucket`; see [`StorageUrl.parse`][rustforge.storage.StorageUrl.parse].
            secret: What signs URLs of [`files_app`][rustforge.http.files_app] and tokens of uploads: at least 16
                characters; of several the last one signs, and all are accepted. `None` takes a key that a folder
                keeps for itself, or a random one in memory; S3 has none, and signs no uploads without it.
            base_url: Where `files_app` is mounted, as a path or with scheme and host.
            clock: The clock of signatures and times.

        Raises:
            ConfigurationError: The URL is not understood.
            InvalidArgumentError: The secret is too short.
            StorageError: The folder cannot be used.

        Example:
            ```python
            async with Storage.connect("s3://shop-files?region=eu-west-1") as storage:
                print(await storage.exists("articles/cover/7.png"))
            ```
        """
        return StorageConnecting(cls(url, secret=secret, base_url=base_url, clock=clock))

    async def aclose(self) -> None:
        """Close the storage; calls that come later raise `StorageError`."""
        self._closed = True

    async def put(
        self,
        key: str,
        data: Source,
        *,
        content_type: str = DEFAULT_TYPE,
        metadata: Mapping[str, str] | None = None,
        filename: str | None = None,
        inline: bool = False,
        overwrite: bool = True,
        progress: Progress | None = None,
    ) -> StoredObject:
        """Store an object, as a whole or not at all.

        A file or an iterable is never held in memory as a whole: S3 gets it in parts of 8 MiB. Where the source
        fails, or the call is cancelled, nothing is stored, and what was under the key stays.

        Args:
            key: The key.
            data: Bytes, a binary file (whose `read` may be awaited), or an iterable of bytes, with or without asyncio.
            content_type: The media type; of the bytes, not one that a client told.
            metadata: Names (`a-z`, `0-9`, `-`) and values that are stored with the object; 2,048 bytes in all.
            filename: The name under which browsers save the object.
            inline: Whether browsers may show the object. They save it where it is neither PDF nor an image other
                than SVG, as it could carry scripts.
            overwrite: Whether it may take the place of another object. `False` is atomic but for objects of more
                than 8 MiB on S3, for which we look before the first and before the last part.
            progress: Called with the number of bytes taken so far, after each piece; may be a coroutine function.

        Returns:
            The stored object; its time is by this machine's clock.

        Raises:
            InvalidArgumentError: The key, the content type or the metadata cannot be used.
            InvalidTypeError: `data` gives something other than bytes.
            ObjectExistsError: There is an object, and `overwrite` is `False`.
            StorageUnavailableError: The storage does not serve.
            StorageError: It cannot store the object.

        Example:
            ```python
            with open("report.pdf", "rb") as file:
                await storage.put("reports/7.pdf", file, content_type="application/pdf", filename="Report.pdf")
            ```
        """
        backend = self._of(key)
        what = Description.of(content_type, metadata, filename, inline=inline)
        return await backend.put(key, watched(pieces(data), progress), what, overwrite=overwrite)

    async def get(self, key: str) -> bytes:
        """Read an object as a whole; see `stream` for large ones.

        Raises:
            ObjectNotFoundError: There is none.
            StorageUnavailableError: The storage does not serve.
        """
        return await self._of(key).get(key)

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """Read an object in pieces of about 1 MiB.

        Args:
            key: The key.
            start: The first byte, from 0 on.
            end: The byte before which to stop; `None` for the object's end.
            etag: Read the object only as long as it is this version.

        Yields:
            The pieces; none where `start` is behind the end.

        Raises:
            ObjectNotFoundError: There is none, or none of this `etag`.
            InvalidArgumentError: `start` or `end` is negative.
            StorageUnavailableError: The storage does not serve, or stopped in the middle.

        Example:
            ```python
            async for piece in storage.stream("videos/7.mp4", start=1_000_000):
                ...
            ```
        """
        if start < 0 or (end is not None and end < 0):
            msg = f"start and end count from 0 on, not {start!r} and {end!r}"
            raise InvalidArgumentError(msg)
        async for piece in self._of(key).stream(key, start, end, etag):
            yield piece

    async def head(self, key: str) -> StoredObject:
        """Describe an object without reading it.

        Raises:
            ObjectNotFoundError: There is none.
            StorageUnavailableError: The storage does not serve.
        """
        return await self._of(key).head(key)

    async def exists(self, key: str) -> bool:
        """Tell whether there is an object.

        Raises:
            StorageUnavailableError: The storage does not serve, so that nobody can tell.
        """
        try:
            await self.head(key)
        except ObjectNotFoundError:
            return False
        return True

    async def delete(self, key: str) -> bool:
        """Remove an object.

        Returns:
            Whether there was one.

        Raises:
            StorageUnavailableError: The storage does not serve.
        """
        there = await self.exists(key)
        if there:
            await self._backend.delete([key])
        return there

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Remove many objects, a thousand at a time on S3; those that are not there are removed already.

        Raises:
            InvalidArgumentError: One of the keys cannot be used. Nothing was removed.
            StorageUnavailableError: The storage does not serve. Some may have been removed.
        """
        chosen = list(keys)
        for key in chosen:
            self._of(key)
        if chosen:
            await self._backend.delete(chosen)

    async def copy(self, source: str, target: str) -> None:
        """Store an object under another key, too, with its type and metadata; it takes the place of one there.

        Raises:
            ObjectNotFoundError: There is no `source`.
            StorageUnavailableError: The storage does not serve.
        """
        self._of(target)
        if source == target:
            await self.head(source)  # S3 refuses what would change nothing
        else:
            await self._of(source).copy(source, target)

    async def move(self, source: str, target: str) -> None:
        """Copy an object, then remove the first; whoever is interrupted between has both.

        Raises:
            InvalidArgumentError: Both keys are the same.
            ObjectNotFoundError: There is no `source`.
            StorageUnavailableError: The storage does not serve.
        """
        if source == target:
            msg = f"an object cannot be moved to where it is: {source!r}"
            raise InvalidArgumentError(msg)
        await self.copy(source, target)
        await self._backend.delete([source])

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Find the objects under a prefix, in no order that is promised.

        What a bucket or a folder has beside them, such as links and files whose names are no keys, is left out.

        Args:
            prefix: Whole segments of keys: `"articles/cover"` finds `articles/cover/7.png`, not `articles/covers/7`.

        Yields:
            The objects, without content type, metadata and disposition, which S3 does not tell here.

        Raises:
            InvalidArgumentError: The prefix cannot be part of a key.
            StorageUnavailableError: The storage does not serve.

        Example:
            ```python
            total = sum([found.size async for found in storage.list("articles")])
            ```
        """
        self._check_open()
        async for found in self._backend.list(check_prefix(prefix)):
            yield found

    def presign(self, key: str, expires: Duration = 300, *, filename: str | None = None, inline: bool = False) -> str:
        """Sign a URL with which anybody can read one object for a while.

        It is made here, without a request, and does not tell whether there is such an object. A bucket serves it by
        itself; for a folder and for memory, [`files_app`][rustforge.http.files_app] does, under `base_url`.

        Args:
            key: The key.
            expires: Seconds, or a `timedelta`, of at most 7 days.
            filename: Save it under another name than it was stored with; with S3 it needs the extra `s3`.
            inline: Let browsers show it, though it was not stored so; with S3 it needs the extra `s3`. It counts for
                PDF and images other than SVG only, which S3 tells by the key's extension.

        Raises:
            InvalidArgumentError: The key or the time cannot be used, or the object lies in the quarantine.
            StorageUnavailableError: There are no credentials.

        Example:
            ```python
            url = storage.presign("reports/7.pdf", expires=60, filename="Report.pdf")
            ```
        """
        self._of(key)
        if key.startswith(f"{QUARANTINE}/"):
            msg = f"{key!r} lies in the quarantine: look at it and move it, before somebody gets it"
            raise InvalidArgumentError(msg)
        seconds = _seconds(expires)
        if self._s3 is None:
            token = self.signer.sign(reading(key), seconds, filename, inline)
            return f"{self._base_url}/{key}?token={token}"
        headers: dict[str, str] = {}
        if inline and type_of(key) in SAFE_INLINE:  # whatever type it was stored with
            headers["Content-Type"] = type_of(key)
        if inline or filename is not None:
            headers["Content-Disposition"] = disposition(filename, inline=inline, content_type=type_of(key))
        return self._s3.get(key, seconds, headers)

    def presign_upload(
        self,
        prefix: str,
        *,
        max_size: int,
        size: int | None = None,
        content_type: str | None = None,
        expires: Duration = 600,
    ) -> SignedUpload:
        """Permit a client to upload one object directly, without its bytes passing through the application.

        The object gets a new key in the quarantine. Nobody can read it from there: when the client is done it hands
        back the token, and the application looks at what came and moves it, such as with
        [`accept`][rustforge.attachments.accept].

        Args:
            prefix: What stands in the key after `quarantine/`, such as `"articles/cover"`.
            max_size: How many bytes it may have.
            size: How many bytes it has, if the client told; then it must have just as many. R2 needs it.
            content_type: The media type that the client must send; `None` for none.
            expires: How long the client may begin to upload: seconds, or a `timedelta`, of at most 7 days. The token
                is valid for 24 hours.

        Raises:
            InvalidArgumentError: An argument cannot be used, or `size` is more than `max_size`.
            ConfigurationError: The storage has no secret to sign the token with, or is R2 and was given no `size`.
            StorageUnavailableError: There are no credentials.

        Example:
            ```python
            upload = storage.presign_upload("articles/cover", max_size=5_000_000, content_type="image/png")
            # the client sends `upload.method` to `upload.url`, and then `upload.token` to the application
            ```
        """
        self._check_open()
        seconds = _seconds(expires)
        if not 0 < max_size <= _LARGEST or not 0 <= (size or 0) <= max_size:
            msg = f"max_size is 1 to {_LARGEST} bytes, and size at most max_size; not {max_size!r} and {size!r}"
            raise InvalidArgumentError(msg)
        if content_type is not None:
            Description.of(content_type, None, None, inline=False)
        key = check_key(f"{QUARANTINE}/{check_prefix(prefix)}/{uuid.uuid4().hex}")
        token = self.signer.sign(UPLOAD, _GRANT_SECONDS, key, max_size, content_type)
        expected = {} if content_type is None else {"Content-Type": content_type}
        most = max_size if size is None else size
        until = datetime.fromtimestamp(int(self._clock.time()) + seconds, UTC)
        if self._s3 is None:
            signature = self.signer.sign(writing(key), seconds, size, most, content_type)
            url = f"{self._base_url}/{key}?token={signature}"
            return SignedUpload(url, "PUT", expected, {}, token, until)
        expected["Content-Disposition"] = "attachment"
        if size is not None:
            url = self._s3.put(key, seconds, {**expected, "Content-Length": str(size)})
            return SignedUpload(url, "PUT", expected, {}, token, until)
        if self._url.kind == "r2":
            msg = "R2 bounds an upload only if it is told its size: presign_upload(..., size=...)"
            raise ConfigurationError(msg)
        url, fields = self._s3.post(key, seconds, expected, most)
        return SignedUpload(url, "POST", {}, fields, token, until)

    def read_upload_token(self, token: str) -> UploadGrant:
        """Read what a client was permitted to upload, from the token that it hands back.

        Raises:
            StorageTokenError: The token is not one of ours, or is older than 24 hours.
        """
        _, (key, max_size, content_type) = self.signer.read(UPLOAD, token)
        return UploadGrant(key, max_size, content_type)

    @property
    def signer(self) -> Signer:
        """What signs and reads tokens, for `files_app`."""
        if self._signer is None:
            if self._memory is not None:
                secret = self._memory.secret
            elif isinstance(self._backend, LocalBackend):
                secret = self._backend.secret()
            else:
                msg = f"{self._url} needs a secret to sign tokens with: set SECRET_KEY, or give secret="
                raise ConfigurationError(msg)
            self._signer = Signer(secret, self._clock)
        return self._signer

    @property
    def url(self) -> str:
        """Where the objects are, without credentials."""
        return str(self._url)

    def __repr__(self) -> str:
        """Name the place."""
        return f"<Storage {self._url}>"

    async def open(self) -> None:
        """Make the folder, and remove what killed processes left there; `connect` does it. S3 needs nothing."""
        await self._backend.open()

    def _place(self) -> Backend:
        if self._url.kind == "file":
            return LocalBackend(Path(self._url.place), clock=self._clock)
        if self._url.kind == "memory":
            name = self._url.place
            self._memory = _named.setdefault(name, _Memory()) if name else _Memory()
            return RemoteBackend(self._memory.store, str(self._url), clock=self._clock)
        store = open_bucket(self._url)
        self._s3 = S3Signer(store, self._url, self._clock)
        return RemoteBackend(store, str(self._url), clock=self._clock)

    def _of(self, key: str) -> Backend:
        """Check a key, and give the place of its object."""
        self._check_open()
        check_key(key)
        if len(key) + len(self._url.prefix) >= MAX_KEY and self._url.prefix:
            msg = (
                f"with the prefix {self._url.prefix!r} a key may have {MAX_KEY - len(self._url.prefix) - 1} characters"
            )
            raise InvalidArgumentError(msg)
        return self._backend

    def _check_open(self) -> None:
        if self._closed:
            msg = f"the storage {self._url} is closed"
            raise StorageError(msg)


class StorageConnecting:
    """What [`Storage.connect`][rustforge.storage.Storage.connect] returns: `await` it, or use it with `async with`."""

    def __init__(self, storage: Storage) -> None:
        """Take the storage that is to be opened."""
        self._storage = storage

    def __await__(self) -> Generator[Any, None, Storage]:
        """Open; the caller closes the storage."""
        return self._open().__await__()

    async def __aenter__(self) -> Storage:
        """Open."""
        return await self._open()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self._storage.aclose()

    async def _open(self) -> Storage:
        await self._storage.open()
        return self._storage


def _seconds(expires: Duration) -> int:
    seconds = milliseconds(expires, "expires") // 1000
    if not 0 < seconds <= _LONGEST:
        msg = f"expires must be 1 second to 7 days, not {expires!r}"
        raise InvalidArgumentError(msg)
    return seconds
