"""Signatures of webhooks, as the Standard Webhooks specification has them: HMAC-SHA256 over id, timestamp and body."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets as random_source
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import ConfigurationError, InvalidArgumentError, InvalidTypeError, WebhookSignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rustforge.clock import Clock
    from rustforge.types import Duration

__all__ = ["check_secret", "new_secret", "sign", "verify_webhook"]

_PREFIX = "whsec_"
_SIZE = 32
_LEAST, _MOST = 24, 64
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def new_secret() -> str:
    """Make a secret of 32 random bytes, such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw...`."""
    return _PREFIX + b64encode(random_source.token_bytes(_SIZE)).decode()


def check_secret(secret: str) -> str:
    """Return a secret that the specification allows.

    Raises:
        ConfigurationError: It is not `whsec_` and the base64 of 24 to 64 bytes. The message does not show it.
    """
    if not _LEAST <= len(_key(secret)) <= _MOST:
        msg = f"a webhook secret must have {_LEAST} to {_MOST} bytes"
        raise ConfigurationError(msg)
    return secret


def sign(
    body: bytes,
    secrets: str | Iterable[str],
    *,
    webhook_id: str,
    timestamp: int | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> dict[str, str]:
    """Sign a webhook; [`WebhookChannel`][rustforge.notify.WebhookChannel] does so for what it sends.

    Args:
        body: The body, exactly as it will be sent.
        secrets: The secret, or several while one takes the place of another: each signs.
        webhook_id: The event's id, the same at each attempt; without a full stop.
        timestamp: When this attempt is made, in seconds since 1970-01-01 UTC; `None` is now.
        clock: Where now comes from.

    Returns:
        The headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.

    Raises:
        ConfigurationError: A secret cannot be used, or there is none.
        InvalidArgumentError: The id is empty, or has a full stop or a character that is not visible ASCII.

    Example:
        ```python
        headers = sign(body, secret, webhook_id="evt_1")
        ```
    """
    if not (webhook_id.isascii() and webhook_id.isprintable()) or not webhook_id or set(webhook_id) & {".", " "}:
        msg = f"a webhook id must be visible ASCII without a full stop, not {webhook_id!r}"
        raise InvalidArgumentError(msg)
    moment = str(int(clock.time()) if timestamp is None else timestamp)
    signatures = _signatures(webhook_id.encode(), moment.encode(), body, secrets)
    return dict(zip(_HEADERS, (webhook_id, moment, b" ".join(signatures).decode()), strict=True))


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Iterable[str],
    *,
    tolerance: Duration = 300,
    clock: Clock = SYSTEM_CLOCK,
) -> str:
    """Find out whether a webhook comes from somebody who has the secret, and was signed just now.

    Whatever comes in, it is the webhook's id that goes out, or one error.
    [`verified_webhook`][rustforge.http.verified_webhook] does it in a route of FastAPI.

    Args:
        headers: The headers of the request, with names in either case.
        body: The body, exactly as it came: not what a parser makes of it.
        secrets: The secret, or several while one takes the place of another: one of them has to fit.
        tolerance: How far the time of the signature may be from now, before and after: seconds as a number, or a
            `timedelta`.
        clock: Where now comes from.

    Returns:
        The webhook's id. The sender may send a webhook again, with the same id: keep the ids of those that you have
        dealt with.

    Raises:
        WebhookSignatureError: It does not; answer with 401.
        ConfigurationError: A secret cannot be used, or there is none.

    Example:
        ```python
        webhook_id = verify_webhook(headers, body, secret)
        ```
    """
    limit = milliseconds(tolerance, "tolerance") / 1000
    if isinstance(body, str):
        msg = "body must be the bytes of the request as they came, not a str"
        raise InvalidTypeError(msg)
    found: dict[str, object] = {str(name).lower(): value for name, value in headers.items()}
    webhook_id, moment, given = (_text(found.get(name), name) for name in _HEADERS)
    if "." in webhook_id:  # it would not be clear where the id ends, and the time begins
        msg = "webhook-id has a full stop"
        raise WebhookSignatureError(msg)
    if not _TIMESTAMP.fullmatch(moment):
        msg = "webhook-timestamp is no number of seconds"
        raise WebhookSignatureError(msg)
    expected = _signatures(webhook_id.encode("utf-8", "surrogatepass"), moment.encode(), body, secrets)
    offered = [one.encode("utf-8", "surrogatepass") for one in given.split(" ")]
    # All are compared, in constant time, so that nobody learns by the time it takes how near a forgery came.
    fits = [hmac.compare_digest(one, other) for one in offered for other in expected]
    if not any(fits):
        msg = "no signature of webhook-signature fits"
        raise WebhookSignatureError(msg)
    apart = int(moment) - clock.time()
    if not -limit <= apart <= limit:
        msg = f"the webhook was signed more than {limit:g} s {'before' if apart < 0 else 'after'} now"
        raise WebhookSignatureError(msg)
    return webhook_id


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        msg = f"there is no header {name}"
        raise WebhookSignatureError(msg)
    return value


def _signatures(webhook_id: bytes, moment: bytes, body: bytes, secrets: str | Iterable[str]) -> list[bytes]:
    """Sign with each secret."""
    keys = [_key(one) for one in ((secrets,) if isinstance(secrets, str) else secrets)]
    if not keys:
        msg = "there is no webhook secret to sign with"
        raise ConfigurationError(msg)
    content = b"%b.%b.%b" % (webhook_id, moment, body)
    return [b"v1," + b64encode(hmac.digest(key, content, "sha256")) for key in keys]


def _key(secret: str) -> bytes:
    """Read the key that a secret stands for."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        msg = "a webhook secret must be whsec_ and base64, such as new_secret() makes"
        raise ConfigurationError(msg)
    return key
