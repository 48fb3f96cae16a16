"""One Redis connection shared by every task of an event loop.

All commands of one event-loop tick leave in one write (automatic pipelining), and replies are matched to callers in
the order of the commands, as the Redis protocol guarantees. When many ticks in a row bring many commands, each is cut
into slices, so that the server answers the first while the tasks still make the rest: neither waits for the other, and
a hundred tasks get a third more done. A caller that gives up leaves its place in the line, so its reply is thrown away
and nobody else's moves. The technique is that of rueidis (Go) and ioredis (Node.js).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import socket
import ssl
from collections import deque
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import hiredis

from rustforge.errors import (
    RedisAuthenticationError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisOutOfMemoryError,
    RedisOverloadedError,
    RedisReadOnlyError,
    RedisReplyError,
    RedisTimeoutError,
)
from rustforge.redis.slices import Slices
from rustforge.redis.url import Address, show_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from rustforge.types import CommandArgument

__all__ = ["Multiplexer", "Reply", "own_copy", "pack", "reply_error", "require_loop"]

E = TypeVar("E", bound=BaseException)

_logger = logging.getLogger(__name__)
_NOT_READY = object()
_MAX_WRITE_BYTES = 1 << 20
_BACKOFF = (0.0, 0.05, 0.1, 0.2, 0.4)
_SHORT_LIFE = 1.0
_LOOP_LAG = 0.1
_KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_SUBSCRIPTIONS = frozenset(f"{kind}{verb}".encode() for kind in ("", "p", "s") for verb in ("subscribe", "unsubscribe"))
_ERRORS: dict[str, type[RedisReplyError]] = {
    "READONLY": RedisReadOnlyError,
    "OOM": RedisOutOfMemoryError,
}
_HINTS = {
    "READONLY": "this server is a read-only replica: point the URL at the primary, or use redis+sentinel:// or "
    "redis+cluster://",
    "OOM": "Redis is at its maxmemory: raise it, or set an eviction policy such as allkeys-lru",
    "CROSSSLOT": "the keys of one command must share a slot of the cluster: give them one {tag}, or use a pipeline",
    "NOPERM": "the Redis user may not do this: grant it with ACL SETUSER",
    "LOADING": "Redis has just started and reads its data; try again when it has",
    "BUSY": "a Lua script runs for too long; SCRIPT KILL ends it",
    "MISCONF": "Redis cannot save to its disk and refuses writes; see its log",
}


def pack(*args: CommandArgument) -> bytes:
    """Write one command in the Redis protocol."""
    return hiredis.pack_command(args)  # type: ignore[arg-type, no-any-return]  # pyright: ignore[reportUnknownVariableType]


def reply_error(message: str) -> RedisReplyError:
    """Make the exception for an error reply."""
    code = message.partition(" ")[0]
    hint = _HINTS.get(code)
    return _ERRORS.get(code, RedisReplyError)(f"{message} ({hint})" if hint else message, code)


def require_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Refuse a caller that runs in another event loop than the client's, or in none.

    Raises:
        RedisClosedError: It does.
    """
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if not here:
        msg = "this Redis client belongs to another event loop; connect once in each loop"
        raise RedisClosedError(msg)


class Reply(asyncio.Future[Any]):
    """The answer to one command that is still to come.

    Attributes:
        payload: The command as it is sent.
        retry: Whether it may be sent again when the connection was lost after sending it.
        deadline: Event-loop time after which the caller gets a time-out.
        parts: `None` for a single command; for a pipeline, the replies that have come.
        expected: How many replies the payload brings.
        fallback: Makes the payload to send when the server does not know the script.
    """

    __slots__ = ("deadline", "expected", "fallback", "parts", "payload", "retry")

    payload: bytes
    retry: bool
    deadline: float
    parts: list[Any] | None
    expected: int
    fallback: Callable[[], bytes] | None


class _Link(asyncio.Protocol):
    """One physical connection: parses replies and hands each to the oldest unanswered command."""

    def __init__(self, owner: Multiplexer) -> None:
        self.owner = owner
        self.pending: deque[Reply] = deque()
        self.transport: asyncio.Transport
        self.connected: bool = False
        self.writable: bool = False
        self.made_at: float = owner.loop.time()
        self.quiet_since: float = self.made_at
        self.failure: Exception | None = None
        self.closed: asyncio.Future[None] = owner.loop.create_future()
        self._reader = hiredis.Reader(
            protocolError=RedisConnectionError,
            replyError=reply_error,
            notEnoughData=_NOT_READY,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connected = True
        self.made_at = self.quiet_since = self.owner.loop.time()
        self.writable = True
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
            # A dead peer shows even while nothing is sent, so that what `track` told does not go stale unseen.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEP_ALIVE.items():
                if hasattr(socket, option):
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = not self.transport.is_closing()
        self.owner.schedule_flush()

    def data_received(self, data: bytes) -> None:
        self.quiet_since = self.owner.loop.time()
        reader = self._reader
        pending = self.pending
        try:
            reader.feed(data)
            for answer in iter(reader.gets, _NOT_READY):
                kind = type(answer)  # pyright: ignore[reportUnknownVariableType] - of any type
                if kind is hiredis.PushNotification:
                    self.owner.handle_push(answer)
                    continue
                reply = pending.popleft()
                if reply.parts is not None:
                    reply.parts.append(answer)
                    if isinstance(answer, RedisReadOnlyError):
                        self.owner.handle_read_only(self)
                    if len(reply.parts) < reply.expected:
                        pending.appendleft(reply)
                    elif not reply.done():
                        reply.set_result(reply.parts)
                elif not reply.done():
                    if kind is bytes or not isinstance(answer, RedisReplyError):
                        reply.set_result(answer)
                    else:
                        self.owner.handle_error(self, reply, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the line of replies cannot be trusted any more
            self.failure = error
            self.abort()
            return
        self.owner.handle_progress(self)

    def send(self, batch: list[Reply]) -> None:
        if not self.pending:
            self.quiet_since = self.owner.loop.time()
        self.pending.extend(batch)
        self.transport.write(batch[0].payload if len(batch) == 1 else b"".join([reply.payload for reply in batch]))

    def abort(self) -> None:
        # What is written from here on would be lost, so it waits for the next connection.
        self.writable = False
        if self.connected:
            self.transport.abort()

    def eof_received(self) -> None:
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable = False
        self.owner.handle_lost(self, self.failure or exc)
        if not self.closed.done():
            self.closed.set_result(None)


class Multiplexer:
    """A logical connection that outlives the physical ones.

    It connects when the first command is sent and again when the connection was lost. While a connection is being
    made, commands wait in line; when it cannot be made (five attempts within a second), all of them get the same
    clear error, and the next command starts anew. A connection that breaks within a second of being made is followed
    by a pause, so a server that drops every connection is not stormed.
    """

    def __init__(
        self,
        resolve: Callable[[], Awaitable[Address]],
        *,
        place: str,
        username: str | None = None,
        password: str | None = None,
        database: int = 0,
        tls: ssl.SSLContext | None = None,
        timeout: float = 5.0,
        connect_timeout: float = 3.0,
        max_in_flight: int = 10_000,
        max_queued: int = 100_000,
        max_queued_bytes: int = 256 << 20,
        expect_role: str | None = None,
        on_error: Callable[[Reply, RedisReplyError], bool] | None = None,
        on_unsent: Callable[[Reply, RedisError], bool] | None = None,
        on_push: Callable[[list[Any]], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """Prepare a connection; nothing is opened yet.

        Args:
            resolve: Tells the address to connect to; called for each attempt.
            place: How messages name the server.
            username: ACL user, or `None`.
            password: Password, or `None`.
            database: Database number.
            tls: TLS settings, or `None` for a plain connection.
            timeout: Seconds a command may take, waiting in line included.
            connect_timeout: Seconds one attempt to connect may take.
            max_in_flight: Commands sent and not answered; more wait in line.
            max_queued: Commands waiting in line; more are refused.
            max_queued_bytes: Bytes waiting in line; more are refused.
            expect_role: Refuse a server whose `ROLE` is another, such as a demoted primary.
            on_error: Sees each error reply first; returns `True` when it took the command over.
            on_unsent: Sees each command that may run elsewhere because no connection can be made, or this client was
                closed: those not sent, and the idempotent ones. Returns `True` when it took the command over.
            on_push: Called with each RESP3 push.
            on_lost: Called when a connection is gone.
        """
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.place = place
        self.tracking: bool = False
        self.statistics: dict[str, int] = {"commands": 0, "writes": 0, "connects": 0, "timeouts": 0, "lost": 0}
        self._resolve = resolve
        self._username = username
        self._password = password
        self._database = database
        self._tls = tls
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._max_in_flight = max_in_flight
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._expect_role = expect_role
        self._on_error = on_error
        self._on_unsent = on_unsent
        self._on_push = on_push
        self._on_lost = on_lost
        self._queue: deque[Reply] = deque()
        self._queued_bytes = 0
        self._again: list[Reply] = []
        self._short_lives = 0
        self._flush_scheduled = False
        self._tick_open = False
        self._slices = Slices(max_queued)
        self._cut = max_queued
        self._deadline = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._watch_at = math.inf
        self._link: _Link | None = None
        self._retired: set[_Link] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._trouble: RedisError | None = None
        self._closed = False

    # -- sending -------------------------------------------------------------------------------------------------

    def send(
        self,
        payload: bytes,
        retry: bool = False,  # noqa: FBT001, FBT002 - the hot path passes it by position
        expected: int = 0,
        fallback: Callable[[], bytes] | None = None,
    ) -> Reply:
        """Put a command in line for this tick's write.

        Args:
            payload: One packed command, or several when `expected` says how many.
            retry: The command is idempotent, so a lost connection makes it run again and not fail.
            expected: 0 for one command; else the number of commands in `payload`, and the reply is a list in which
                error replies stand as exceptions.
            fallback: Makes the payload to send when the server answers NOSCRIPT.

        Returns:
            A future of the reply.

        Raises:
            RedisClosedError: The client is closed, or belongs to another event loop.
            RedisOverloadedError: Too many commands or bytes are waiting.
        """
        if not self._tick_open:
            self._open_tick()
        queue = self._queue
        if len(queue) >= self._cut:
            self._slices.sliced = True
            self._write()
        self._queued_bytes += len(payload)
        if len(queue) >= self._max_queued or self._queued_bytes > self._max_queued_bytes:
            self._queued_bytes -= len(payload)
            msg = (
                f"{len(self._queue):,} commands ({self._queued_bytes:,} bytes) already wait for Redis at {self.place}, "
                f"and this one has {len(payload):,} bytes; the bounds are {self._max_queued:,} commands and "
                f"{self._max_queued_bytes:,} bytes, so send fewer at a time"
            )
            raise RedisOverloadedError(msg)
        reply = Reply(loop=self.loop)
        reply.payload = payload
        reply.retry = retry
        reply.deadline = self._deadline
        reply.expected = expected
        reply.parts = [] if expected else None
        reply.fallback = fallback
        queue.append(reply)
        return reply

    def resend(self, reply: Reply) -> None:
        """Put a command that did not run back in line, before all that wait, keeping its deadline."""
        if not reply.done():
            self._again.append(reply)
            self.schedule_flush()

    def flush(self) -> None:
        """Write what waits now; what the tick still brings is written at its end."""
        self._write()

    def schedule_flush(self) -> None:
        """Write what waits at the end of this tick."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def _open_tick(self) -> None:
        """Start a tick's batch: check the loop, set the deadline that all of its commands share."""
        if self._closed:
            raise self._closed_error()
        require_loop(self.loop)
        self._tick_open = True
        self._deadline = self.loop.time() + self._timeout
        self._watch(self._deadline)
        self.schedule_flush()

    def _flush(self) -> None:
        """Write what a tick brought, or what is left of it, and see whether the ticks are large now."""
        self._flush_scheduled = self._tick_open = False
        self._cut = self._slices.end_tick(len(self._queue))
        self._write()

    def _write(self) -> None:
        queue = self._queue
        if self._again:
            self._rejoin()
        if not queue:
            return
        link = self._link
        if link is None:
            if self._closed:
                self._fail_waiting(self._closed_error())
            elif self._connecting is None:
                self._connecting = self.loop.create_task(self._connect(), name=f"rustforge-redis-connect {self.place}")
            return
        if not link.writable:
            return
        room = self._max_in_flight - len(link.pending)
        if len(queue) <= room and self._queued_bytes <= _MAX_WRITE_BYTES:
            batch = [reply for reply in queue if not reply.done()]
            queue.clear()
            self._queued_bytes = 0
        else:
            batch = self._take(room)
        if batch:
            self.statistics["commands"] += len(batch)
            self.statistics["writes"] += 1
            link.send(batch)

    def _take(self, room: int) -> list[Reply]:
        """Take so many commands from the front, but not much more than a write's worth; the rest has its own turn."""
        batch: list[Reply] = []
        size = 0
        while self._queue and len(batch) < room and size < _MAX_WRITE_BYTES:
            reply = self._queue.popleft()
            size += len(reply.payload)
            if not reply.done():
                batch.append(reply)
        self._queued_bytes -= size
        if self._queue and len(batch) < room:
            self.schedule_flush()
        return batch

    def _rejoin(self) -> None:
        """Put what is sent again before all that wait, in the order in which it came back."""
        for reply in reversed(self._again):
            if reply.parts is not None:
                reply.parts = []
            self._queue.appendleft(reply)
            self._queued_bytes += len(reply.payload)
            self._watch(reply.deadline)
        self._again.clear()

    # -- what the link reports -----------------------------------------------------------------------------------

    def handle_error(self, link: _Link, reply: Reply, error: RedisReplyError) -> None:
        """Settle an error reply: run the script by its source, let the client take over, or raise it."""
        if error.code == "NOSCRIPT" and reply.fallback is not None:
            reply.payload = reply.fallback()
            reply.fallback = None
            self.resend(reply)
            return
        if not self._hand_over(self._on_error, reply, error) and not reply.done():
            reply.set_exception(error)
        if isinstance(error, RedisReadOnlyError):
            self.handle_read_only(link)

    def _hand_over(self, hook: Callable[[Reply, Any], bool] | None, reply: Reply, error: RedisError) -> bool:
        """Offer a command to the client; one that cannot take it over, for whatever reason, leaves it here."""
        try:
            return hook is not None and hook(reply, error)
        except Exception:
            _logger.exception("Taking over a command for Redis at %s failed", self.place)
            return False

    def handle_read_only(self, link: _Link) -> None:
        """Look for the new primary: at most once a second, and only when the current connection says so."""
        if link is self._link and self.loop.time() - link.made_at >= _SHORT_LIFE:
            self.retire()

    def handle_push(self, push: list[Any]) -> None:
        """Pass a RESP3 push on; a subscription has no reply, so everyone behind it would get the wrong one."""
        if push[0] in _SUBSCRIPTIONS:
            msg = f"{push[0].decode().upper()} needs a connection of its own"
            raise RedisConnectionError(msg)
        if self._on_push is not None:
            self._on_push(push)

    def handle_progress(self, link: _Link) -> None:
        """Go on writing when answers made room, and close a retired link when its last answer came."""
        if link is self._link:
            if self._queue:
                self.schedule_flush()
        elif link in self._retired and not link.pending:
            link.transport.close()

    def handle_lost(self, link: _Link, cause: Exception | None) -> None:
        """Send idempotent commands again, and fail those that may have run."""
        known = link is self._link or link in self._retired
        self._retired.discard(link)
        if link is self._link:
            self._link = None
            self.statistics["lost"] += not self._closed
            self._short_lives = self._short_lives + 1 if self.loop.time() - link.made_at < _SHORT_LIFE else 0
            if link.failure is not None:
                _logger.warning("Redis at %s broke the protocol; reconnecting: %r", self.place, link.failure)
        for reply in link.pending:
            if reply.done():
                continue
            if reply.retry and not self._closed:
                self.resend(reply)
                continue
            if reply.retry and self._hand_over(self._on_unsent, reply, self._closed_error()):
                continue
            msg = (
                f"the connection to Redis at {self.place} was lost after this command was sent; it may have run. "
                "Repeat it only if running twice is harmless"
            )
            error = RedisOutcomeUnknownError(msg)
            error.__cause__ = cause
            reply.set_exception(error)
        link.pending.clear()
        self.schedule_flush()
        if known and self._on_lost is not None:
            self._on_lost()

    def retire(self) -> None:
        """Connect anew for the next command; what was already sent is still answered by the old connection."""
        link, self._link = self._link, None
        if link is None:
            return
        self._retired.add(link)
        self.handle_progress(link)
        self.schedule_flush()
        if self._on_lost is not None:
            self._on_lost()

    # -- time-outs -----------------------------------------------------------------------------------------------

    def _watch(self, deadline: float) -> None:
        """See to it that the deadlines are checked then, or earlier."""
        if deadline < self._watch_at:
            if self._watchdog is not None:
                self._watchdog.cancel()
            self._watch_at = deadline
            self._watchdog = self.loop.call_at(deadline, self._check_deadlines)

    def _check_deadlines(self, *, excused: bool = False) -> None:
        """Fail what is past its deadline; cut a connection that has been silent for a whole time-out."""
        now = self.loop.time()
        if now - self._watch_at > _LOOP_LAG and not excused:
            # Something blocked the event loop: read what has arrived meanwhile before calling it late.
            self._watchdog = self.loop.call_later(_LOOP_LAG / 2, partial(self._check_deadlines, excused=True))
            return
        self._watchdog, self._watch_at = None, math.inf
        reason = self._trouble or "no connection, or too much is waiting"
        upcoming = self._expire(self._queue, now, f"could not be sent: {reason}")
        for link in self._links():
            following = self._expire(link.pending, now, "was sent and not answered; it may still run")
            overdue = any(reply.deadline <= now for reply in link.pending)
            if overdue and now - link.quiet_since >= self._timeout:
                _logger.warning("Redis at %s was silent for %.3g s; reconnecting", self.place, self._timeout)
                link.abort()
            elif link.pending:
                upcoming = min(upcoming, following, link.quiet_since + self._timeout)
        while self._queue and self._queue[0].done():
            self._queued_bytes -= len(self._queue.popleft().payload)
        if upcoming < math.inf:
            self._watch(max(upcoming, now + self._timeout / 100))

    def _expire(self, replies: Iterable[Reply], now: float, what: str) -> float:
        """Fail those past their deadline; return the earliest deadline of the others."""
        earliest = math.inf
        for reply in replies:
            if not reply.done():
                if reply.deadline <= now:
                    self._time_out(reply, what)
                elif reply.deadline < earliest:
                    earliest = reply.deadline
        return earliest

    def _time_out(self, reply: Reply, what: str) -> None:
        if not reply.done():
            self.statistics["timeouts"] += 1
            msg = f"Redis at {self.place} did not answer within {self._timeout:g} s: the command {what}"
            reply.set_exception(RedisTimeoutError(msg))

    # -- connecting ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect now, in one attempt.

        Raises:
            RedisConnectionError: The server refused, or does not exist.
            RedisAuthenticationError: It refused the user or password.
            RedisTimeoutError: It did not answer in time.
        """
        if self._closed:
            raise self._closed_error()
        if self._link is None:
            await self._open_link()

    async def _connect(self) -> None:
        """Make the connection that waiting commands need, or fail them all."""
        error: RedisError | None = None
        try:
            first = _BACKOFF[min(self._short_lives, len(_BACKOFF) - 1)]
            for pause in (first, *_BACKOFF[1:]):
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
                if self._link is not None or not self._queue:
                    error = None
                    break
                try:
                    await self._open_link()
                except RedisAuthenticationError as refused:
                    error = refused
                    break
                except RedisError as failed:
                    error = self._trouble = failed
                else:
                    error = self._trouble = None
                    break
        except Exception as unexpected:  # noqa: BLE001 - whatever it is, the waiting callers must hear of it
            error = RedisConnectionError(f"connecting to Redis at {self.place} failed: {unexpected!r}")
            error.__cause__ = unexpected
        finally:
            self._connecting = None
        if error is not None:
            self._fail_waiting(error)
        self.schedule_flush()

    def _fail_waiting(self, error: RedisError) -> None:
        waiting, self._queue, self._queued_bytes = self._queue, deque(), 0
        for reply in waiting:
            if not reply.done() and not self._hand_over(self._on_unsent, reply, error) and not reply.done():
                reply.set_exception(own_copy(error))

    async def _open_link(self) -> None:
        link = _Link(self)
        address: Address | None = None
        try:
            async with asyncio.timeout(self._connect_timeout):
                address = await self._resolve()
                await self._dial(link, address)
                await self._handshake(link)
        except RedisError:
            raise
        except TimeoutError as error:
            where = show_address(address) if address else self.place
            doubt = "; is this its TLS port?" if self._tls else ""
            msg = f"Redis at {where} did not answer within {self._connect_timeout:g} s of connecting{doubt}"
            raise RedisTimeoutError(msg) from error
        except ssl.SSLCertVerificationError as error:
            msg = (
                f"the TLS certificate of Redis at {self.place} is not trusted: {error.verify_message} "
                "(ssl_ca_certs in the URL names the file of its authority)"
            )
            raise RedisConnectionError(msg) from error
        except ssl.SSLError as error:
            msg = f"TLS with Redis at {self.place} failed: {error.reason or error}; is this its TLS port?"
            raise RedisConnectionError(msg) from error
        except (OSError, UnicodeError) as error:
            where = show_address(address) if address else self.place
            reason = getattr(error, "strerror", None) or error
            msg = f"Redis at {where} cannot be reached: {reason}; is it running, and is the URL right?"
            raise RedisConnectionError(msg) from error
        finally:
            if link is not self._link:
                link.abort()

    async def _dial(self, link: _Link, address: Address) -> None:
        if isinstance(address, str):
            await self.loop.create_unix_connection(lambda: link, address)
        else:
            host, port = address
            await self.loop.create_connection(
                lambda: link, host, port, ssl=self._tls, server_hostname=host if self._tls else None
            )

    async def _handshake(self, link: _Link) -> None:
        """Authenticate, select, and turn on tracking; one round trip."""
        hello: list[CommandArgument] = ["HELLO", 3]
        if self._password is not None or self._username is not None:
            hello += ["AUTH", self._username or "default", self._password or ""]
        commands: list[Sequence[CommandArgument]] = [hello, ["CLIENT", "SETNAME", "rustforge"], ["PING"]]
        commands.append(["CLIENT", "TRACKING", "ON", "OPTIN"])
        if self._database:
            commands.append(["SELECT", self._database])
        if self._expect_role:
            commands.append(["ROLE"])
        reply = Reply(loop=self.loop)
        reply.payload = b"".join([pack(*command) for command in commands])
        reply.retry = False
        reply.deadline = self.loop.time() + self._connect_timeout
        reply.fallback = None
        reply.expected = len(commands)
        reply.parts = []
        link.send([reply])
        try:
            answers = await reply
        except RedisOutcomeUnknownError as error:
            raise self._broken_handshake(link, reply.parts, error.__cause__) from error.__cause__
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, RedisReplyError) and command[0] != "CLIENT":
                if command[0] == "PING" and answer.code == "NOPERM":
                    continue
                raise self._handshake_error(str(command[0]), answer)
        if self._expect_role and answers[-1][0].decode() != self._expect_role:
            msg = f"Redis at {self.place} is a {answers[-1][0].decode()}, not a {self._expect_role}"
            raise RedisConnectionError(msg)
        self.tracking = not isinstance(answers[3], RedisReplyError)
        self.statistics["connects"] += 1
        if self._closed:
            raise self._closed_error()
        if not link.writable:
            raise self._broken_handshake(link, [], None)
        if self._link is None:
            self._link = link
            self.schedule_flush()

    def _handshake_error(self, command: str, error: RedisReplyError) -> RedisError:
        text = str(error)
        if error.code == "NOAUTH":
            msg = f"Redis at {self.place} needs a password; write it into the URL: redis://user:password@host"
            return RedisAuthenticationError(msg)
        if error.code == "NOPERM":
            msg = f"the user of the URL may not run {command} on Redis at {self.place}: {text}"
            return RedisAuthenticationError(msg)
        if error.code == "WRONGPASS" or "AUTH" in text:
            msg = f"Redis at {self.place} refused the user or password of the URL: {text}"
            return RedisAuthenticationError(msg)
        if command == "HELLO" and "unknown command" in text.lower():
            msg = f"the server at {self.place} does not speak RESP3; Rustforge needs Redis 6.2 or newer, or Valkey"
            return RedisConnectionError(msg)
        msg = f"Redis at {self.place} is not ready: {text}"
        return RedisConnectionError(msg)

    def _broken_handshake(self, link: _Link, answers: list[Any] | None, cause: BaseException | None) -> RedisError:
        for answer in answers or []:
            if isinstance(answer, RedisReplyError):
                return self._handshake_error("HELLO", answer)
        if link.failure is not None:
            what = f"what listens at {self.place} does not speak the Redis protocol: {link.failure}"
        else:
            what = f"Redis at {self.place} closed the connection while it was being made" + (
                f": {cause}" if cause else ""
            )
        return RedisConnectionError(
            what if self._tls else f"{what}; is the port right, or is it a TLS port (rediss://)?"
        )

    # -- closing -------------------------------------------------------------------------------------------------

    def _links(self) -> list[_Link]:
        return [link for link in (self._link, *self._retired) if link is not None]

    @property
    def in_flight(self) -> int:
        """How many commands were sent and are not answered."""
        return sum(len(link.pending) for link in self._links())

    @property
    def queued(self) -> int:
        """How many commands wait to be sent."""
        return len(self._queue) + len(self._again)

    def _closed_error(self) -> RedisClosedError:
        return RedisClosedError(f"the Redis client of {self.place} is closed")

    async def aclose(self, patience: float | None = None) -> None:
        """Wait for the answers that are due, then close. Calling it again does nothing.

        Args:
            patience: Seconds to wait at most; the time-out of commands where it is left out.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._connecting is not None:
                self._connecting.cancel()
                await asyncio.wait([self._connecting])
            self._flush()
            due = [reply for link in self._links() for reply in link.pending]
            due = [reply for reply in (*due, *self._queue) if not reply.done()]
            if due:
                await asyncio.wait(due, timeout=self._timeout if patience is None else patience)
            closing = self._links()
            for link in closing:
                link.transport.close()
            if closing:
                await asyncio.wait([link.closed for link in closing], timeout=1.0)
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()
            for link in self._links():
                link.abort()
            self._fail_waiting(self._closed_error())


def own_copy(error: E) -> E:
    """Give each waiting caller an exception of its own, so that tracebacks do not grow into each other."""
    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 - some exceptions cannot be copied
        return error
    twin.__cause__ = error.__cause__
    return twin
