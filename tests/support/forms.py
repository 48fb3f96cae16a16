"""Forms with files, as clients send them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

BOUNDARY = b"f1a7b0undary"
CONTENT_TYPE = "multipart/form-data; boundary=" + BOUNDARY.decode()


def part(name: str, data: bytes, *, filename: str | bytes | None = None, content_type: str | None = None) -> bytes:
    """Write a part, with a file name exactly as given."""
    named = filename.encode() if isinstance(filename, str) else filename
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"'
    head += b"" if named is None else b'; filename="' + named + b'"'
    head += b"" if content_type is None else b"\r\nContent-Type: " + content_type.encode()
    return head + b"\r\n\r\n" + data


def form(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """Write a form of parts."""
    written = b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
    return written + b"--" + boundary + b"--\r\n"


@dataclass
class Client:
    """A client that sends pieces, and then falls silent, goes away, or is done.

    Attributes:
        pieces: What it sends.
        end: What it does then.
        taken: How many pieces the server took.
    """

    pieces: Iterable[bytes]
    end: str = "done"
    taken: int = field(default=0, init=False)

    def request(self, *, content_type: str | None = CONTENT_TYPE, length: int | None = None) -> Request:
        """Begin to send."""
        waiting = iter(self.pieces)

        async def receive() -> MutableMapping[str, Any]:
            piece = next(waiting, None)
            if piece is not None:
                self.taken += 1
                return {"type": "http.request", "body": piece, "more_body": True}
            if self.end == "silent":
                await asyncio.Event().wait()
            if self.end == "gone":
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
        headers += [] if length is None else [(b"content-length", str(length).encode())]
        return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
