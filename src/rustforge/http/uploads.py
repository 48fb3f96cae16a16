"""Uploads: read part by part while they come, bounded in everything, and handed to the attachments."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from rustforge.clock import milliseconds
from rustforge.names import clean_name

try:
    from python_multipart import MultipartParser
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import parse_options_header
except ModuleNotFoundError as _error:
    _msg = "python-multipart is not installed; it comes with: pip install 'rustforge[http]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from fastapi import UploadFile
    from starlette.requests import Request

    from rustforge.attachments.input import AttachmentInput
    from rustforge.attachments.rules import AttachmentRules
    from rustforge.storage import Storage
    from rustforge.storage.source import Progress
    from rustforge.types import Duration

__all__ = ["UploadPart", "multipart", "store_upload"]

_MAX_HEADERS = 8 * 1024
_PIECE = 64 * 1024
_MEBIBYTE = 1024 * 1024


async def store_upload(
    upload: UploadFile | UploadPart,
    storage: Storage,
    rules: AttachmentRules,
    *,
    owner: str,
    field: str,
    progress: Progress | None = None,
) -> AttachmentInput:
    """Check an uploaded file, and store it; see [`receive`][rustforge.attachments.receive].

    Args:
        upload: FastAPI's `UploadFile`, or a part that [`multipart`][rustforge.http.multipart] gives, which is
            stored while it comes.
        storage: Where it is stored.
        rules: What may be attached.
        owner: What it will belong to, such as the table's name.
        field: The slot's name.
        progress: Called with the number of bytes that came so far.

    Returns:
        What is to be attached.

    Raises:
        AttachmentRejectedError: The rules do not allow it; where `install` was called, this is answered with 422.

    Example:
        ```python
        @app.put("/articles/{article_id}/cover")
        async def set_cover(article_id: int, file: UploadFile) -> ApiResponse[str]:
            cover = await store_upload(file, ctx.storage, rules, owner="articles", field="cover")
        ```
    """
    from rustforge.attachments.receive import receive  # noqa: PLC0415 - it needs an extra

    return await receive(storage, upload, rules, owner=owner, field=field, name=upload.filename, progress=progress)


async def multipart(
    request: Request,
    *,
    max_size: int = 32 * _MEBIBYTE,
    max_files: int = 10,
    max_fields: int = 100,
    max_field_size: int = _MEBIBYTE,
    timeout: Duration = 30,  # noqa: ASYNC109 - of the client's silence, and no bound of the whole
) -> AsyncGenerator[UploadPart]:
    """Read a form with files while it comes.

    Nothing is read ahead: a client that is faster than the storage waits, and memory holds a few pieces of 64 KiB
    however large the upload is. A part that is not read is skipped.

    Args:
        request: A request whose body nobody has read, so the route has no parameters of `Form` or `File`.
        max_size: The most bytes of the whole body, with everything between the files.
        max_files: The most parts with a file name.
        max_fields: The most parts without one.
        max_field_size: The most bytes that `content` and `text` read of a part.
        timeout: The longest that the client may send nothing: seconds as a number, or a `timedelta`.

    Yields:
        The parts, in the order in which they come. Each is to be read before the next one.

    Raises:
        HTTPException: With 415 the request is no `multipart/form-data`; with 400 it is damaged, ended early, or has
            too many parts; with 413 it is too large; with 408 the client fell silent.

    Example:
        ```python
        async for part in multipart(request, max_size=2 * 1024**3):
            if part.filename is not None:
                video = await store_upload(part, ctx.storage, rules, owner="articles", field="video")
        ```
    """
    seconds = milliseconds(timeout, "timeout") / 1000
    reader = _Reader(
        request,
        max_size=max_size,
        max_files=max_files,
        max_fields=max_fields,
        max_field_size=max_field_size,
        seconds=seconds,
    )
    while (part := await reader.next_part()) is not None:
        yield part


class UploadPart:
    """A part of a form, which is read while it comes; give it to `store_upload`, or iterate over its bytes.

    Attributes:
        name: The name of the form's field.
        filename: What the client calls the file, without folders and control characters, and so possibly empty;
            `None` for a part that is no file.
        claimed_type: The content type as the client claims it, which is not to be relied upon.
    """

    def __init__(self, reader: _Reader, name: str, filename: str | None, claimed_type: str | None) -> None:
        """Say where the bytes come from."""
        self.name = name
        self.filename = filename
        self.claimed_type = claimed_type
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes, piece by piece, and once only."""
        while (piece := await self._reader.next_piece(self)) is not None:
            yield piece

    async def content(self) -> bytes:
        """Read all bytes of a small part.

        Raises:
            HTTPException: With 413 there are more than `max_field_size`.
        """
        found = bytearray()
        async for piece in self:
            found += piece
            if len(found) > self._reader.max_field_size:
                raise _refused(413, f"A field of the form is larger than {self._reader.max_field_size:,} bytes.")
        return bytes(found)

    async def text(self) -> str:
        """Read a small part as text in UTF-8.

        Raises:
            HTTPException: With 413 it is too large, with 400 it is no UTF-8.
        """
        try:
            return (await self.content()).decode()
        except UnicodeDecodeError:
            raise _refused(400, "A field of the form is not text in UTF-8.") from None


class _Over:
    """The end of a part."""


_OVER: Final = _Over()


class _Reader:
    """Feeds python-multipart's parser with what comes, and holds what it makes of one piece."""

    def __init__(
        self,
        request: Request,
        *,
        max_size: int,
        max_files: int,
        max_fields: int,
        max_field_size: int,
        seconds: float,
    ) -> None:
        self.max_field_size = max_field_size
        self._max_size = max_size
        self._files_left = max_files
        self._fields_left = max_fields
        self._seconds = seconds
        self._chunks = request.stream()
        self._events: deque[UploadPart | bytes | _Over] = deque()
        self._chunk = b""
        self._at = 0
        self._size = 0
        self._done = False
        self._current: UploadPart | None = None
        self._header_size = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data":
            raise _refused(415, "The request must be a form: multipart/form-data.")
        if not options.get(b"boundary"):
            raise _refused(400, "The form has no boundary.")
        with contextlib.suppress(ValueError):
            self._check_size(int(request.headers.get("content-length", "0")))
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value_part,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _refused(400, "The boundary of the form is too long.") from error

    async def next_part(self) -> UploadPart | None:
        """Give the next part; what is left of the one before is skipped."""
        while (event := await self._next()) is not None:
            if isinstance(event, UploadPart):
                self._current = event
                return event
        self._current = None
        return None

    async def next_piece(self, part: UploadPart) -> bytes | None:
        """Give the next bytes of a part, if it is the one that comes."""
        if part is not self._current:
            return None
        event = await self._next()
        if isinstance(event, bytes):
            return event
        self._current = None
        return None

    async def _next(self) -> UploadPart | bytes | _Over | None:
        """Give what comes next; `None` at the end of the form."""
        while not self._events:
            if self._done:
                return None
            if self._at >= len(self._chunk):
                self._chunk, self._at = await self._receive(), 0
            piece = self._chunk[self._at : self._at + _PIECE]
            self._at += len(piece)
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise _refused(400, "The form is damaged.") from error
        return self._events.popleft()

    async def _receive(self) -> bytes:
        """Wait for the client's next bytes."""
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in self._chunks:
                    if chunk:
                        self._size += len(chunk)
                        self._check_size(self._size)
                        return chunk
        except TimeoutError:
            raise _refused(408, f"Nothing came for {self._seconds:g} seconds.") from None
        raise _refused(400, "The form ended before its last part was complete.")

    def _check_size(self, size: int) -> None:
        if size > self._max_size:
            raise _refused(413, f"The form is larger than {self._max_size:,} bytes.")

    # What the parser calls

    def _begin(self) -> None:
        self._header_size = 0
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _header_value_part(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        name = self._header_name.lower()
        if name in self._headers:
            raise _refused(400, "A part of the form has the same header twice.")
        self._headers[name] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise _refused(400, "A part of the form has no name.")
        filename = options.get(b"filename")
        if filename is None:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise _refused(400, "The form has too many fields.")
        else:
            self._files_left -= 1
            if self._files_left < 0:
                raise _refused(400, "The form has too many files.")
        claimed = self._headers.get(b"content-type")
        self._events.append(
            UploadPart(
                self,
                _decoded(options[b"name"]),
                None if filename is None else clean_name(_decoded(filename)),
                None if claimed is None else _decoded(claimed),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _part_end(self) -> None:
        self._events.append(_OVER)

    def _end(self) -> None:
        self._done = True

    def _count_header(self, size: int) -> None:
        self._header_size += size
        if self._header_size > _MAX_HEADERS:
            raise _refused(400, "A part of the form has too large headers.")


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _refused(status: int, message: str) -> HTTPException:
    return HTTPException(HTTPStatus(status), message)
