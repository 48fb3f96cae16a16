"""What the storage tells about an object, and what is told to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from rustforge.errors import InvalidArgumentError
from rustforge.names import clean_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["SAFE_INLINE", "Description", "SignedUpload", "StoredObject", "UploadGrant", "disposition"]

SAFE_INLINE = frozenset({"application/pdf", "image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""The types that a browser may show; it saves objects of all others, as they could carry scripts."""

DEFAULT_TYPE = "application/octet-stream"

_TYPES = {
    "avif": "image/avif",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "pdf": "application/pdf",
    "png": "image/png",
    "webp": "image/webp",
}

_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}(; ?[ -~]{1,100})?", re.IGNORECASE
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PLAIN = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_MAX_METADATA = 2048
_MAX_FILENAME = 255  # bytes, as file systems take it; written in a header they are up to 1 KiB, and S3 takes 2


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the storage.

    Attributes:
        key: Its key.
        size: Its length in bytes.
        content_type: Its media type; `None` where it was listed, as a list of S3 does not tell it.
        modified: When it was stored, in UTC.
        etag: Changes with its content, without the quotes of HTTP.
        metadata: What was stored with it; empty where it was listed.
        disposition: How a browser treats it, as the header `Content-Disposition`; `None` where it was listed.
    """

    key: str
    size: int
    content_type: str | None
    modified: datetime
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A permission to upload one object directly, which the application hands to a client.

    Attributes:
        url: Where the client sends the bytes.
        method: `"PUT"` with the bytes as the body, or `"POST"` with a form of `fields` and, last, `file`.
        headers: The headers that the client must send with it.
        fields: The form's fields for `"POST"`; empty for `"PUT"`.
        token: What the client hands back when it is done; see
            [`read_upload_token`][rustforge.storage.Storage.read_upload_token].
        expires_at: Until when the URL can be used, in UTC.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    fields: Mapping[str, str]
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """What a client was permitted to upload, as its token says.

    Attributes:
        key: The key of the object in the quarantine.
        max_size: How many bytes it may have.
        content_type: The media type that was asked for; `None` for any.
    """

    key: str
    max_size: int
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Description:
    """What is stored with the bytes of an object."""

    content_type: str = DEFAULT_TYPE
    disposition: str = "attachment"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls, content_type: str, metadata: Mapping[str, str] | None, filename: str | None, *, inline: bool
    ) -> Description:
        """Check what the caller says about an object."""
        if not _TYPE.fullmatch(content_type):
            msg = f"{ascii(content_type)[:100]} is no media type; write one such as 'image/png'"
            raise InvalidArgumentError(msg)
        metadata = dict(metadata or {})
        for name in metadata:
            if not _NAME.fullmatch(name):
                msg = f"{ascii(name)[:100]} cannot name metadata: it has 1 to 64 characters a-z, 0-9 and '-'"
                raise InvalidArgumentError(msg)
        if sum(len(name) + len(value) for name, value in quoted(metadata).items()) > _MAX_METADATA:
            msg = f"metadata may have {_MAX_METADATA} bytes in all, as it is stored in headers"
            raise InvalidArgumentError(msg)
        return cls(content_type, disposition(filename, inline=inline, content_type=content_type), metadata)


def disposition(filename: str | None, *, inline: bool, content_type: str) -> str:
    """Write the header `Content-Disposition`.

    Args:
        filename: The name under which a browser saves the object; whatever a client called it, as it is cleaned.
        inline: Whether a browser may show it; counts only for the types in `SAFE_INLINE`.
        content_type: The object's media type.
    """
    kind = "inline" if inline and content_type.partition(";")[0].strip().lower() in SAFE_INLINE else "attachment"
    if filename is None:
        return kind
    name = clean_name(filename, _MAX_FILENAME) or "file"
    simple = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", name)
    if simple == name:
        return f'{kind}; filename="{name}"'
    encoded = quote(name, safe="!#$&+-.^_`|~")
    return f"{kind}; filename=\"{simple}\"; filename*=UTF-8''{encoded}"


def quoted(metadata: Mapping[str, str]) -> dict[str, str]:
    """Write metadata in characters that a header can carry."""
    return {name: quote(value, safe=_PLAIN) for name, value in metadata.items()}


def unquoted(metadata: Mapping[str, str]) -> dict[str, str]:
    """Read metadata that `quoted` wrote."""
    return {name: unquote(value) for name, value in metadata.items()}


def type_of(key: str) -> str:
    """Tell the media type that the extension of a key stands for, of those that browsers may show."""
    return _TYPES.get(key.rpartition(".")[2], DEFAULT_TYPE)
