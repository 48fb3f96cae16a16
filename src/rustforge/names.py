"""What may be kept of the names that clients give to files."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean_name"]

_MAX_NAME = 200
_MAX_EXTENSION = 16


def clean_name(name: str | None, max_bytes: int | None = None) -> str:
    r"""Keep of a client's file name what a person can read: no folders, no control characters, at most 200 characters.

    Args:
        name: The name, whatever it is.
        max_bytes: How many bytes it may have at most, in UTF-8; `None` for any number.

    Returns:
        The name; empty where nothing is left of it.

    Example:
        ```python
        clean_name("../../etc/pass\r\nwd")  # 'passwd'
        ```
    """
    last = re.split(r"[/\\]", name or "")[-1]
    readable = "".join(character for character in unicodedata.normalize("NFC", last) if character.isprintable()).strip()
    if len(readable) > _MAX_NAME or (max_bytes is not None and len(readable.encode()) > max_bytes):
        stem, dot, extension = readable.rpartition(".")
        ending = dot + extension if stem and len(extension) <= _MAX_EXTENSION else ""
        start = readable[: _MAX_NAME - len(ending)]
        if max_bytes is not None:
            start = start.encode()[: max_bytes - len(ending.encode())].decode(errors="ignore")
        readable = (start + ending).strip()
    return readable if readable.strip(". ") else ""
