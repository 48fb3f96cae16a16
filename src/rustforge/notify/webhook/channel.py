"""What sends webhooks: signed, and to nobody who must not get one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import h11

from rustforge import codec
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import InvalidArgumentError, WebhookError
from rustforge.notify.fanout import new_event_id
from rustforge.notify.webhook.addresses import read_url
from rustforge.notify.webhook.connections import Connections
from rustforge.notify.webhook.signing import sign

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Iterable

    from rustforge.clock import Clock
    from rustforge.notify.webhook.addresses import Address
    from rustforge.notify.webhook.connections import Resolver
    from rustforge.notify.webhook.wire import Answer
    from rustforge.types import Duration

__all__ = ["WebhookChannel"]

_LONGEST_WAIT = 24 * 3600
_CONTENT_TYPE = (b"content-type", b"application/json")


class WebhookChannel:
    """Sends webhooks by HTTPS, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.

    URLs come from people, so they are not trusted. Every address of a host must be public, and the connection is made
    to one that was checked. Redirects are not followed, the environment's proxies are not used, and a receiver that is
    slow or says too much is not listened to.

    Attributes:
        clock: Where the time of signatures comes from.

    Example:
        ```python
        async with WebhookChannel() as webhooks:
            await webhooks.send("https://example.com/hooks", {"type": "ping"}, secrets=secret)
        ```
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout: Duration = 15.0,
        connect_timeout: Duration = 5.0,
        user_agent: str = "Rustforge-Webhooks/1",
        tls: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare it; nothing is connected before something is sent.

        Args:
            allow_private: Also send to this machine and to private networks, and by plain HTTP. For tests and
                development.
            timeout: How long all of it may take, from the look-up of the name to the status of the answer: seconds as
                a number, or a `timedelta`.
            connect_timeout: How long one address of a host may take to connect.
            user_agent: What the header `User-Agent` says.
            tls: Which certificates are trusted; `None` takes those of the system.
            resolve: An async function that gets host and port and returns IP addresses; `None` asks the system.
            clock: Where the time of signatures comes from.
        """
        self.clock: Clock = clock
        self._allow_private = allow_private
        self._timeout = milliseconds(timeout, "timeout") / 1000
        self._user_agent = (b"user-agent", user_agent.encode("ascii"))
        self._connections = Connections(
            allow_private=allow_private,
            connect_timeout=milliseconds(connect_timeout, "connect_timeout") / 1000,
            tls=tls,
            resolve=resolve,
        )

    async def check(self, url: str) -> None:
        """Find out whether webhooks may go to a URL, by its look and by what the DNS says now.

        It is checked again whenever something is sent; this is for forms, to tell people early.

        Args:
            url: The URL.

        Raises:
            WebhookAddressError: They may not.
            WebhookError: The name of the host cannot be looked up.
        """
        address = read_url(url, allow_private=self._allow_private)
        async with self._in_time(address):
            await self._connections.addresses(address)

    async def send(self, url: str, body: Any, *, secrets: str | Iterable[str], event_id: str | None = None) -> int:
        """Send a webhook, once.

        Args:
            url: Where to.
            body: What: `bytes` go as they are, anything else as JSON.
            secrets: What signs it; several while one takes the place of another.
            event_id: The event's id, without a full stop. The receiver finds it in `webhook-id` and
                `X-Idempotency-Key`, the same at each attempt. `None` makes a new one.

        Returns:
            The status of the answer, from 200 to 299.

        Raises:
            WebhookAddressError: Webhooks must not go there.
            WebhookError: The receiver could not be reached, was too slow, or answered with another status.
            ConfigurationError: A secret cannot be used.
            InvalidArgumentError: The body is not JSON, or the id cannot be used.
        """
        address = read_url(url, allow_private=self._allow_private)
        content = body if isinstance(body, bytes) else _json(body)
        signed = sign(content, secrets, webhook_id=event_id or new_event_id(), clock=self.clock)
        headers = [
            (b"host", address.authority.encode()),
            *[(name.encode(), value.encode()) for name, value in signed.items()],
            (b"x-idempotency-key", signed["webhook-id"].encode()),
            _CONTENT_TYPE,
            self._user_agent,
            (b"content-length", b"%d" % len(content)),
        ]
        async with self._in_time(address):
            answer = await self._connections.post(address, headers, content)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise _refusal(str(address), answer, self.clock)
        return answer.status

    @asynccontextmanager
    async def _in_time(self, address: Address) -> AsyncGenerator[None]:
        """Give a block its time, and make one error of all that can go wrong on the network."""
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                yield
        except (OSError, h11.RemoteProtocolError) as error:
            reason = f"no answer within {self._timeout:g} s" if limit.expired() else str(error) or type(error).__name__
            msg = f"{address}: {reason}"
            raise WebhookError(msg) from error

    async def aclose(self) -> None:
        """Close all connections."""
        self._connections.close()
        await asyncio.sleep(0)  # in which they end

    async def __aenter__(self) -> Self:
        """Return the channel."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.aclose()


def _json(body: object) -> bytes:
    try:
        return codec.encode(body)
    except codec.EncodeError as error:
        msg = f"the body of a webhook must be bytes or JSON: {error}"
        raise InvalidArgumentError(msg) from error


def _refusal(place: str, answer: Answer, clock: Clock) -> WebhookError:
    """Say what an answer without success means."""
    status = answer.status
    try:
        title = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        title = str(status)
    redirect = status < HTTPStatus.BAD_REQUEST
    msg = f"{place} answered {title}{', and redirects are not followed' if redirect else ''}"
    said = next((value for name, value in answer.headers if name == b"retry-after"), None)
    return WebhookError(msg, status, None if said is None else _read_wait(said.decode("latin-1"), clock))


def _read_wait(said: str, clock: Clock) -> float | None:
    """Read Retry-After, which is a number of seconds or a date; at most a day, and `None` where it is neither."""
    if said.isascii() and said.isdigit():
        return float(min(int(said[:12]), _LONGEST_WAIT))
    try:
        date = parsedate_to_datetime(said)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        wait = date.timestamp() - clock.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, 0.0), float(_LONGEST_WAIT))
