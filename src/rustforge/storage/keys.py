"""The keys of objects: which ones there are, and how the server makes one."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from rustforge.clock import Clock

__all__ = ["QUARANTINE", "check_key", "check_prefix", "new_key"]

QUARANTINE = "quarantine"
"""Where direct uploads wait until the application has looked at them."""

MAX_KEY = 1024
MAX_SEGMENT = 200

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?<!\.)")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,16}")
_RULE = (
    f"a key has 1 to {MAX_KEY} characters A-Z, a-z, 0-9, '_', '-' and '.', in segments that '/' parts: "
    f"each has 1 to {MAX_SEGMENT} characters, neither starts nor ends with '.', and is no device name such as 'con'"
)


def check_key(key: str) -> str:
    """Refuse a key that does not mean the same on every storage.

    Args:
        key: The key: segments of `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`, parted by `/`.

    Returns:
        The same key.

    Raises:
        InvalidArgumentError: It is empty, over 1024 characters, has a character that is not allowed, an empty segment,
            one that starts or ends with `.`, is longer than 200 characters, or names a device (`con`, `nul`).
        InvalidTypeError: It is not a `str`.

    Example:
        ```python
        check_key("articles/cover/7.png")  # 'articles/cover/7.png'
        ```
    """
    if not isinstance(key, str):
        msg = f"a key must be str, not {type(key).__name__}"
        raise InvalidTypeError(msg)
    if not 0 < len(key) <= MAX_KEY or not all(_is_sound(segment) for segment in key.split("/")):
        msg = f"{_shown(key)} cannot be the key of an object: {_RULE}"
        raise InvalidArgumentError(msg)
    return key


def check_prefix(prefix: str) -> str:
    """Refuse a prefix under which no key can be.

    Args:
        prefix: Whole segments of keys, with or without the `/` at the end; empty for all keys.

    Returns:
        The prefix without the `/` at its end.

    Raises:
        InvalidArgumentError: It is not a part of a key.
        InvalidTypeError: It is not a `str`.
    """
    return check_key(prefix.removesuffix("/")) if prefix else ""


def new_key(owner: str, field: str, extension: str, *, clock: Clock = SYSTEM_CLOCK) -> str:
    """Make the key of a new object: `owner/field/yyyy/mm/dd/uuid.ext`, with the date in UTC.

    No part of it comes from a client, so that none can be guessed, overwritten, or lead elsewhere.

    Args:
        owner: What the object belongs to, such as the table's name.
        field: Which of its objects it is.
        extension: By the type that was found in the bytes, such as `png`, with or without the dot; empty for none.
        clock: Whose date it is.

    Raises:
        InvalidArgumentError: A part cannot stand in a key, or the object would lie in the quarantine, which is swept.

    Example:
        ```python
        new_key("articles", "cover", "png")
        # 'articles/cover/2026/11/24/0c0f7a1e5a3b4c0e9d1f2a3b4c5d6e7f.png'
        ```
    """
    if f"{owner}/".startswith(f"{QUARANTINE}/"):
        msg = f"{_shown(owner)} cannot be the owner of an object: direct uploads wait under {QUARANTINE}/ to be swept"
        raise InvalidArgumentError(msg)
    extension = extension.removeprefix(".")
    if extension and not _EXTENSION.fullmatch(extension):
        msg = f"{_shown(extension)} cannot be the extension of a key: it has 1 to 16 letters and digits"
        raise InvalidArgumentError(msg)
    day = datetime.fromtimestamp(clock.time(), UTC)
    ending = f".{extension.lower()}" if extension else ""
    return check_key(f"{owner}/{field}/{day:%Y/%m/%d}/{uuid.uuid4().hex}{ending}")


def _is_sound(segment: str) -> bool:
    return (
        len(segment) <= MAX_SEGMENT and _SEGMENT.fullmatch(segment) is not None and _DEVICE.fullmatch(segment) is None
    )


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:80] + "...")  # noqa: PLR2004 - one line
