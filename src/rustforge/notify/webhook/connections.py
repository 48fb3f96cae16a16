"""Connections to receivers of webhooks: made to addresses that were checked, and used again while they are fresh."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from rustforge.errors import WebhookAddressError, WebhookError
from rustforge.notify.webhook.addresses import refuse_ip
from rustforge.notify.webhook.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rustforge.notify.webhook.addresses import Address
    from rustforge.notify.webhook.wire import Answer

    Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

__all__ = ["Connections"]

_THREADS = 32
_MOST_IDLE = 100
_KEEP_ALIVE = 5.0


class Connections:
    """Sends requests over connections that no one can lead astray.

    A name is looked up once for each connection. Every address that it has must be public, and it is one of these
    addresses that is connected to, so it does not help a name to change its mind in between. TLS and `Host` speak of
    the name.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        """Say what is allowed."""
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._tls = tls
        self._resolve = resolve or self._look_up
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        self._open: set[Wire] = set()
        self._idle: dict[tuple[str, str, int], dict[Wire, None]] = {}
        self._order: dict[Wire, tuple[str, str, int]] = {}  # the idle ones, the oldest first

    async def post(self, address: Address, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send a request.

        Raises:
            WebhookAddressError: The name has an address that webhooks must not go to.
            WebhookError: The name cannot be looked up.
            OSError: The receiver cannot be reached, has no valid certificate, or cut the connection.
            h11.RemoteProtocolError: What it answered is not HTTP.
        """
        wire = self._take(address)
        if wire is not None:
            try:
                return await wire.post(address.target, headers, body)
            except ConnectionError:
                if wire.spoken:
                    raise
                # The receiver closed a connection that was idle for too long, before it saw the request.
        wire = await self._connect(address)
        return await wire.post(address.target, headers, body)

    async def addresses(self, address: Address) -> Sequence[str]:
        """Look a name up, and check every address that it has.

        Raises:
            WebhookAddressError: One must not be connected to.
            WebhookError: It cannot be looked up.
        """
        self._require_open()
        if address.ip is not None:
            return [address.host]  # it was checked with the URL
        try:
            found = await self._resolve(address.host, address.port)
        except (OSError, UnicodeError) as error:
            msg = f"{address}: the name cannot be looked up: {error}"
            raise WebhookError(msg) from error
        if not found:
            msg = f"{address}: the name has no address"
            raise WebhookError(msg)
        for one in [] if self._allow_private else found:
            use = refuse_ip(ip_address(one))
            if use is not None:
                msg = f"webhooks must not go to {address.host}: it has {one}, an address of {use}"
                raise WebhookAddressError(msg)
        return found

    def close(self) -> None:
        """Close all connections, for good; what is under way fails."""
        self._closed = True
        for wire in list(self._open):
            wire.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _connect(self, address: Address) -> Wire:
        """Connect to one address after the other, until one answers."""
        loop = asyncio.get_running_loop()
        key = (address.scheme, address.host, address.port)
        make = functools.partial(Wire, functools.partial(self._keep, key), self._forget)
        secure = self._context() if address.scheme == "https" else None
        failure: OSError | None = None
        for one in await self.addresses(address):
            try:
                async with asyncio.timeout(self._connect_timeout):
                    _, wire = await loop.create_connection(
                        make, one, address.port, ssl=secure, server_hostname=address.host if secure else None
                    )
            except TimeoutError:
                failure = failure or TimeoutError(f"no connection within {self._connect_timeout:g} s")
            except OSError as error:
                failure = failure or error
            else:
                if wire.is_open:
                    self._open.add(wire)
                if self._closed:
                    wire.close()
                self._require_open()
                return wire
        assert failure is not None  # noqa: S101 - there was an address
        raise failure

    def _require_open(self) -> None:
        if self._closed:
            msg = "the channel was closed"
            raise ConnectionAbortedError(msg)

    async def _look_up(self, host: str, port: int) -> list[str]:
        """Ask the system, in threads of our own: names that take long must not hold up others who need a thread."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "rustforge-webhook-dns")
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        infos = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(info[4][0]) for info in infos))

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    # -- connections that wait for the next request --------------------------------------------------------------

    def _take(self, address: Address) -> Wire | None:
        key = (address.scheme, address.host, address.port)
        while waiting := self._idle.get(key):
            wire, _ = waiting.popitem()  # the one that was used last
            self._drop(wire)
            if wire.is_open:
                return wire
        return None

    def _keep(self, key: tuple[str, str, int], wire: Wire) -> None:
        self._idle.setdefault(key, {})[wire] = None
        self._order[wire] = key
        wire.close_after(_KEEP_ALIVE)
        if len(self._order) > _MOST_IDLE:
            next(iter(self._order)).close()

    def _forget(self, wire: Wire) -> None:
        self._open.discard(wire)
        self._drop(wire)

    def _drop(self, wire: Wire) -> None:
        """Take a connection out of those that wait."""
        key = self._order.pop(wire, None)
        if key is not None:
            waiting = self._idle[key]
            waiting.pop(wire, None)
            if not waiting:
                del self._idle[key]
