"""The errors that an application raises, with the status and the code that each is answered with."""

from __future__ import annotations

import math
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from rustforge.errors import ConfigurationError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustforge.types import Duration

__all__ = [
    "AppError",
    "BadRequest",
    "Forbidden",
    "Internal",
    "NotFound",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableEntity",
    "Validation",
    "code_of",
    "of_status",
    "title_of",
]

_TITLES = {
    # as RFC 9110 has them; the standard library's differ from one Python to the next
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    418: "I'm a Teapot",
    422: "Unprocessable Content",
}
_CODES = {422: "VALIDATION_ERROR", 429: "RATE_LIMITED", 500: "INTERNAL_ERROR"}


def title_of(status: int) -> str:
    """Return the title of a status, such as `Not Found`."""
    try:
        return _TITLES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Server Error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Client Error"


def code_of(status: int) -> str:
    """Return the `error_code` of a status, such as `NOT_FOUND`."""
    return _CODES.get(status) or title_of(status).upper().replace("'", "").replace("-", "_").replace(" ", "_")


class AppError(Exception):
    """An error that the client is told about, in the envelope and with its own status.

    Derive from it for a status that has no class here; without an `error_code`, the class has the status' title as
    its code.

    Args:
        message: A sentence for people. A blank one becomes the status' title.
        headers: Headers of the response.

    Attributes:
        status: The status of the response, from 400 to 599.
        error_code: A word for programs.
        message: The sentence.
        headers: The headers.
        errors: For fields that were refused, by their paths with dots, what is wrong with them; else `None`.

    Example:
        ```python
        class Conflict(AppError):
            status = 409


        raise Conflict("Somebody has changed the article in the meantime.")
        ```
    """

    status: int = 500
    error_code: str = "INTERNAL_ERROR"
    errors: dict[str, list[str]] | None = None

    def __init__(self, message: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message: str = message if message.strip() else title_of(self.status)
        self.headers: dict[str, str] = dict(headers or {})

    def __init_subclass__(cls) -> None:
        """Give the class a code that goes with its status."""
        super().__init_subclass__()
        if not HTTPStatus.BAD_REQUEST <= cls.status <= 599:  # noqa: PLR2004 - the last status there is
            msg = f"{cls.__name__}.status is {cls.status!r}; an error has a status from 400 to 599"
            raise ConfigurationError(msg)
        if "status" in cls.__dict__ and "error_code" not in cls.__dict__:
            cls.error_code = code_of(cls.status)


class Internal(AppError):
    """Something went wrong that the client can do nothing about: 500, `INTERNAL_ERROR`.

    The message goes into the log. The client reads `Internal Server Error`, unless `install` was called with `debug`.
    """

    status = 500


class NotFound(AppError):
    """There is no such thing: 404, `NOT_FOUND`."""

    status = 404


class BadRequest(AppError):
    """The request cannot be understood: 400, `BAD_REQUEST`."""

    status = 400


class Unauthorized(AppError):
    """The client must say who it is: 401, `UNAUTHORIZED`. The scheme goes into `headers`, as `WWW-Authenticate`."""

    status = 401


class Forbidden(AppError):
    """The client may not do this: 403, `FORBIDDEN`."""

    status = 403


class TooManyRequests(AppError):
    """The client asks too often: 429, `RATE_LIMITED`.

    Args:
        message: A sentence for people. A blank one becomes the status' title.
        retry_after: How long the client should wait, in seconds; it is sent as `Retry-After`, rounded up.
        headers: Headers of the response.

    Raises:
        InvalidArgumentError: `retry_after` is negative or not finite.
    """

    status = 429

    def __init__(
        self, message: str = "", *, retry_after: Duration | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, headers=headers)
        if retry_after is None:
            return
        seconds = retry_after.total_seconds() if isinstance(retry_after, timedelta) else retry_after
        if not (math.isfinite(seconds) and seconds >= 0):
            msg = f"retry_after is {retry_after!r}; it is a number of seconds from 0 on"
            raise InvalidArgumentError(msg)
        self.headers["Retry-After"] = str(math.ceil(seconds))


class UnprocessableEntity(AppError):
    """The request is well-formed, and cannot be done as it stands: 422, `VALIDATION_ERROR`."""

    status = 422


class Validation(UnprocessableEntity):
    """Fields of the request were refused: 422, `VALIDATION_ERROR`, with `errors`.

    Args:
        message: A sentence for people. A blank one becomes the status' title.
        errors: What is wrong with which field: a sentence, or several. A field within another is named by its path,
            such as `address.city` or `items.0.quantity`.
        headers: Headers of the response.

    Example:
        ```python
        raise Validation("The user was not saved.", {"email": "This address is taken already."})
        ```
    """

    def __init__(
        self,
        message: str = "",
        errors: Mapping[str, str | Sequence[str]] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, headers=headers)
        given = errors or {}
        self.errors: dict[str, list[str]] | None = {
            name: [text] if isinstance(text, str) else list(text) for name, text in given.items()
        }


_KINDS: dict[int, type[AppError]] = {
    kind.status: kind
    for kind in (Internal, NotFound, BadRequest, Unauthorized, Forbidden, TooManyRequests, UnprocessableEntity)
}


def of_status(status: int, message: str = "", headers: Mapping[str, str] | None = None) -> AppError:
    """Make the error of a status, also of one that has no class."""
    kind = _KINDS.get(status)
    if kind is not None:
        return kind(message, headers=headers)
    error = AppError(message if message.strip() else title_of(status), headers=headers)
    error.status = status
    error.error_code = code_of(status)
    return error
