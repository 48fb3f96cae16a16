"""Webhooks that come in: read up to a bound, verified before anything else is made of them, and then typed."""

from __future__ import annotations

import asyncio
import inspect
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from rustforge import codec
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import WebhookSignatureError
from rustforge.http.locale import t
from rustforge.notify.webhook.signing import verify_webhook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rustforge.clock import Clock
    from rustforge.types import Duration

    Secrets: TypeAlias = str | Sequence[str]

__all__ = ["IncomingWebhook", "verified_webhook"]

T = TypeVar("T")

_logger = logging.getLogger("rustforge.http")
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IncomingWebhook(Generic[T]):
    """A webhook that somebody sent who has the secret.

    Attributes:
        id: Its id. A webhook comes again, with the same id, where its sender did not get an answer: whoever keeps the
            ids of those that were dealt with does nothing twice.
        payload: What it says.
    """

    id: str
    payload: T


def verified_webhook(
    secrets: Secrets | Callable[[Request], Secrets | Awaitable[Secrets]],
    type: type[T] | Any = Any,  # noqa: A002 - as elsewhere
    *,
    tolerance: Duration = 300,
    max_size: int = _MEBIBYTE,
    timeout: Duration = 30,
    clock: Clock = SYSTEM_CLOCK,
) -> Callable[[Request], Awaitable[IncomingWebhook[T]]]:
    """Make a dependency that verifies a webhook, as Standard Webhooks has it, and reads it.

    It answers 401 where the signature does not fit or is too old, 413 where the body is too large, 408 where it does
    not come, 400 where it is not JSON, and 422 where it is not of the type. The route has no other parameters of the
    body, as these would be read before.

    Args:
        secrets: The secret, or several while one takes the place of another; or a function, also an async one, that
            gets the request and returns them.
        type: What the body is read as: anything `pydantic.TypeAdapter` takes; `Any` reads plain JSON.
        tolerance: How far the time of the signature may be from now: seconds as a number, or a `timedelta`.
        max_size: The most bytes of the body.
        timeout: How long the body may take: seconds as a number, or a `timedelta`.
        clock: Where now comes from.

    Returns:
        The dependency, for FastAPI's `Depends`.

    Example:
        ```python
        Paid = Annotated[IncomingWebhook[Payment], Depends(verified_webhook(secret, Payment))]


        @app.post("/hooks/payments")
        async def receive(webhook: Paid) -> None: ...
        ```
    """
    seconds = milliseconds(timeout, "timeout") / 1000
    read = codec.decoder(None if type is Any else type)

    async def verified(request: Request) -> IncomingWebhook[T]:
        """Verify the request, and read it."""
        body = await _read(request, max_size, seconds)
        chosen: Any = secrets(request) if callable(secrets) else secrets
        if inspect.isawaitable(chosen):
            chosen = await chosen
        try:
            webhook_id = verify_webhook(request.headers, body, chosen, tolerance=tolerance, clock=clock)
        except WebhookSignatureError as error:
            _logger.info("a webhook was refused: %s", error)
            raise _refused(401, t("The webhook is not signed as it must be.")) from None
        try:
            return IncomingWebhook(webhook_id, read(body))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            if found[0]["type"] != "json_invalid":
                raise RequestValidationError(found) from None
        except ValueError:
            pass
        raise _refused(400, t("The body is not valid JSON."))

    return verified


async def _read(request: Request, max_size: int, seconds: float) -> bytes:
    """Read the body as it comes, up to a bound."""
    found = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                found += piece
                if len(found) > max_size:
                    raise _refused(413, t("The webhook is too large."))
    except TimeoutError:
        raise _refused(408, t("The webhook did not come in time.")) from None
    return bytes(found)


def _refused(status: int, message: str) -> HTTPException:
    return HTTPException(HTTPStatus(status), message)
