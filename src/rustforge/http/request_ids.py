"""The id by which a response and the log of its request are found together."""

from __future__ import annotations

import re
from contextvars import ContextVar

__all__ = ["CURRENT", "KEY", "SOUND", "get_request_id"]

KEY = "rustforge.request_id"
"""Where the id stands in the scope of a request that `install` looks after."""

CURRENT: ContextVar[str | None] = ContextVar("rustforge_request_id", default=None)
"""The id of the request that is handled here."""

SOUND = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
"""What a client may send as an id: nothing that could end a line, or a tag, where the id is written."""


def get_request_id() -> str | None:
    """Return the id of the request that is handled here, for logs and for calls to other services.

    It is the `X-Request-ID` of the request, where that is short and of safe characters, else a random one; the
    response carries it. Outside of a request, and without [`install`][rustforge.http.install], it is `None`.

    Example:
        ```python
        logger.info("charged", extra={"request_id": get_request_id()})
        ```
    """
    return CURRENT.get()
