"""A file that was checked and stored, and is to be attached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from rustforge.errors import InvalidArgumentError
from rustforge.storage.keys import check_key

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AttachmentInput"]


@dataclass(frozen=True, slots=True)
class AttachmentInput:
    """A file that was checked and stored: what [`receive`][rustforge.attachments.receive] returns.

    It names an object of the storage, so it is never to be made of what a client sends, who could name the objects of
    others. For that reason it cannot be the body of a request.

    Attributes:
        path: The object's key.
        content_type: Its type, as found in its bytes.
        size: How many bytes it has.
        width: An image's width in pixels.
        height: An image's height in pixels.
        name: The file's name as the client had it, without folders and control characters; for people to read.
        checksum: The SHA-256 of its bytes, in hexadecimal digits.
        meta: What the application wants to keep with it, as JSON.

    Raises:
        InvalidArgumentError: The path is no key, or the size is negative.

    Example:
        ```python
        AttachmentInput("articles/cover/2026/11/24/0c0f.png", "image/png", 48_213, width=800, height=600)
        ```
    """

    path: str
    content_type: str
    size: int
    width: int | None = None
    height: int | None = None
    name: str | None = None
    checksum: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse what no storage can hold."""
        check_key(self.path)
        if self.size < 0:
            msg = f"size must be at least 0 bytes, not {self.size!r}"
            raise InvalidArgumentError(msg)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> NoReturn:
        """Refuse to be read from a request."""
        msg = (
            "AttachmentInput cannot be read from a request or a job, as whoever writes it chooses the object: "
            "take the upload with receive() or accept(), and hand on the id of its attachment"
        )
        raise TypeError(msg)
