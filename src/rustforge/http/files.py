"""Files by signed URLs: what a bucket does by itself, for a folder and for memory."""

from __future__ import annotations

import asyncio
import contextlib
import re
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, TypeAlias

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from rustforge.errors import ObjectExistsError, ObjectNotFoundError, StorageTokenError
from rustforge.http.app_error import AppError, BadRequest, Forbidden, NotFound, of_status
from rustforge.http.envelope import write_error
from rustforge.http.locale import t
from rustforge.storage import Storage
from rustforge.storage.objects import DEFAULT_TYPE, disposition
from rustforge.storage.signing import reading, writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Receive, Scope, Send

    from rustforge.storage import StoredObject

__all__ = ["files_app"]

Where: TypeAlias = "Storage | Callable[[Request], Storage]"

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_CACHED_SECONDS = 3600
_ATTEMPTS = 3
_SILENCE = 30.0
_PDF = "application/pdf"


def files_app(storage: Where) -> ASGIApp:
    """Make an ASGI application that serves the URLs which a storage has signed.

    Mount it where the storage's `base_url` says. `GET` and `HEAD` serve what
    [`Storage.presign`][rustforge.storage.Storage.presign] has signed, with one range of bytes where it is asked for,
    and with `304 Not Modified` for what the client has already. `PUT` takes what
    [`Storage.presign_upload`][rustforge.storage.Storage.presign_upload] has permitted, once, and stops at the first
    byte too many, or when nothing comes for 30 seconds. Without a signature there is nothing. No file can run scripts
    in your origin: all are saved, but PDF and images other than SVG that were stored or signed with `inline`.

    Args:
        storage: The storage, or a function that gives it for a request.

    Example:
        ```python
        app.mount("/files", files_app(lambda request: request.app.state.ctx.storage))
        ```
    """

    async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            msg = "files_app serves HTTP only"
            raise RuntimeError(msg)
        request = Request(scope, receive)
        try:
            response = await _answer(request, storage if isinstance(storage, Storage) else storage(request))
        except StorageTokenError:
            response = write_error(Forbidden(t("This link is not valid, or not any more.")), scope)
        except AppError as error:
            response = write_error(error, scope)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    return _serve


async def _answer(request: Request, storage: Storage) -> Response:
    path, root = request.scope["path"], request.scope.get("root_path", "")
    if not path.startswith(root):  # a proxy has taken off what stands before the application
        root = root.removeprefix(request.scope.get("app_root_path", ""))
    key = path.removeprefix(root).removeprefix("/")
    token = QueryParams(request.scope["query_string"]).get("token", "")
    if request.method in {"GET", "HEAD"}:
        return await _read(request, storage, key, token)
    if request.method == "PUT":
        return await _write(request, storage, key, token)
    raise of_status(405, headers={"Allow": "GET, HEAD, PUT"})


async def _read(request: Request, storage: Storage, key: str, token: str) -> Response:
    left, (filename, inline) = storage.signer.read(reading(key), token)
    for _ in range(_ATTEMPTS):  # somebody may replace the object between the two steps
        try:
            found = await storage.head(key)
        except ObjectNotFoundError:
            break
        headers = _headers(found, left, filename, inline=inline)
        if _is_known(request.headers, found):
            return Response(status_code=304, headers=headers)
        part = _range(request.headers, found)
        start, end = part or (0, found.size)
        headers["content-length"] = str(end - start)
        if part is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{found.size}"
        status = 200 if part is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        pieces = storage.stream(key, start=start, end=end, etag=found.etag)
        try:
            piece = await anext(pieces, b"")
        except ObjectNotFoundError:
            continue
        return StreamingResponse(_chained(piece, pieces), status, headers)
    raise NotFound


async def _write(request: Request, storage: Storage, key: str, token: str) -> Response:
    _, (size, most, content_type) = storage.signer.read(writing(key), token)
    if content_type is not None and request.headers.get("content-type", "").lower() != content_type.lower():
        msg = f"The upload must have the header Content-Type: {content_type}."
        raise BadRequest(msg)
    with contextlib.suppress(ValueError):
        if int(request.headers.get("content-length", "0")) > most:
            raise of_status(413)
    try:
        await storage.put(
            key, _bounded(request, size, most), content_type=content_type or DEFAULT_TYPE, overwrite=False
        )
    except ObjectExistsError:
        raise of_status(409) from None
    return Response(status_code=204)


async def _bounded(request: Request, size: int | None, most: int) -> AsyncIterator[bytes]:
    """Give the body, unless it is not as long as it may be."""
    total = 0
    coming = request.stream()
    while True:
        try:
            async with asyncio.timeout(_SILENCE):
                piece = await anext(coming, None)
        except TimeoutError:
            raise of_status(408) from None
        if piece is None:
            break
        total += len(piece)
        if total > most:
            raise of_status(413)
        yield piece
    if size not in {None, total}:
        msg = f"The upload must have {size} bytes."
        raise BadRequest(msg)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _headers(found: StoredObject, left: int, filename: str | None, *, inline: bool) -> dict[str, str]:
    """Describe the file, and forbid everything that it does not need."""
    content_type = found.content_type or DEFAULT_TYPE
    stored = found.disposition or "attachment"
    chosen = inline or filename is not None
    return {
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={min(left, _CACHED_SECONDS)}",
        "content-disposition": disposition(filename, inline=inline, content_type=content_type) if chosen else stored,
        # a browser's viewer of PDF does not work in a sandbox
        "content-security-policy": f"default-src 'none'{'' if content_type == _PDF else '; sandbox'}",
        "content-type": content_type,
        "cross-origin-resource-policy": "same-site",
        "etag": f'"{found.etag}"',
        "last-modified": format_datetime(found.modified, usegmt=True),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _is_known(headers: Headers, found: StoredObject) -> bool:
    """Tell whether the client has this version."""
    tags = headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or found.etag in _TAG.findall(tags)
    try:
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
        return found.modified.replace(microsecond=0) <= since
    except (OverflowError, TypeError, ValueError):  # no date, or one without a zone
        return False


def _range(headers: Headers, found: StoredObject) -> tuple[int, int] | None:
    """Read which bytes are wanted; `None` for all, as for several ranges, and for what is not understood."""
    match = _RANGE.fullmatch(headers.get("range", ""))
    unchanged = headers.get("if-range") in {
        None,
        f'"{found.etag}"',
        format_datetime(found.modified, usegmt=True),
    }
    if match is None or not any(match.groups()) or not unchanged:
        return None
    first, last = match.groups()
    if not first:
        start, end = max(found.size - int(last), 0), found.size
    else:
        start, end = int(first), min(int(last) + 1, found.size) if last else found.size
        if last and int(last) < start:
            return None
    if start >= found.size:
        raise of_status(416, headers={"Content-Range": f"bytes */{found.size}"})
    return start, end
