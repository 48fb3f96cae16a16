"""The client of a primary that Redis Sentinel watches and replaces when it dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rustforge.errors import (
    RedisAuthenticationError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisReadOnlyError,
    RedisReplyError,
)
from rustforge.redis.commands import split, unpack
from rustforge.redis.multiplexer import Multiplexer, Reply, pack
from rustforge.redis.standalone import StandaloneClient
from rustforge.redis.url import show_address
from rustforge.redis.waiting import Pauses, WaitingRoom, may_go_on, unsent_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rustforge.redis.url import Address, RedisUrl
    from rustforge.types import CommandArgument

__all__ = ["SentinelClient"]


class SentinelClient(StandaloneClient):
    """The primary of a service behind `redis+sentinel://` or `rediss+sentinel://`.

    The Sentinels are asked for its address before each connection, and the server must confirm that it is a primary.
    """

    def __init__(self, url: RedisUrl) -> None:
        """Prepare the connection; nothing is opened yet."""
        self._sentinels = list(url.addresses)
        self._known = False
        self._tls = url.ssl_context()
        super().__init__(url)
        self._room = WaitingRoom(self._prepare, self._multiplexer.resend)

    def _connect_to(self, url: RedisUrl) -> Multiplexer:
        return Multiplexer(
            self._resolve,
            place=str(url),
            username=url.username,
            password=url.password,
            database=url.database,
            tls=self._tls,
            timeout=url.seconds("timeout", 5.0),
            connect_timeout=url.seconds("connect_timeout", 3.0),
            expect_role="master",
            on_error=self._take_over,
            on_unsent=self._take_back,
            on_push=self._hear,
            on_lost=self._forget,
        )

    # -- finding the primary ---------------------------------------------------------------------------------------

    async def _resolve(self) -> Address:
        """Ask the Sentinels in turn; the one that knows is asked first the next time."""
        self._known = False
        problems: list[str] = []
        kind = RedisConnectionError
        for sentinel in tuple(self._sentinels):
            try:
                address = await self._ask(sentinel)
            except RedisAuthenticationError:
                kind = RedisAuthenticationError
                problems.append(
                    f"{show_address(sentinel)} needs another sentinel_username or sentinel_password in the URL"
                )
            except RedisError as error:
                problems.append(f"{show_address(sentinel)} cannot be asked ({error})")
            else:
                if address is not None:
                    self._sentinels.remove(sentinel)
                    self._sentinels.insert(0, sentinel)
                    self._known = True
                    return address
                problems.append(f"{show_address(sentinel)} does not know this service")
        msg = f"no Sentinel tells where the primary of {self.url.name!r} is: {', '.join(problems)}"
        raise kind(msg)

    async def _ask(self, sentinel: Address) -> Address | None:
        """Ask one Sentinel, in so short a time that all of them and the primary fit into one attempt to connect."""

        async def resolve() -> Address:
            return sentinel

        share = self.url.seconds("connect_timeout", 3.0) / (len(self._sentinels) + 1)
        connection = Multiplexer(
            resolve,
            place=show_address(sentinel),
            username=self.url.options.get("sentinel_username"),
            password=self.url.options.get("sentinel_password"),
            tls=self._tls,
            timeout=share,
            connect_timeout=share,
        )
        try:
            async with asyncio.timeout(share):
                await connection.open()
                answer = await connection.send(pack("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.url.name), retry=True)
        except TimeoutError as error:
            msg = f"no answer within {share:.3g} s"
            raise RedisConnectionError(msg) from error
        finally:
            await connection.aclose()
        return None if answer is None else (answer[0].decode(), int(answer[1]))

    # -- while there is none ---------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Do nothing: a command that is sent again makes the connection look for the primary."""

    def _take_over(self, reply: Reply, error: RedisReplyError) -> bool:
        """Send again what a demoted primary refused; the multiplexer drops the connection to it."""
        return isinstance(error, RedisReadOnlyError) and self._room.hold(reply, error)

    def _take_back(self, reply: Reply, error: RedisError) -> bool:
        """Keep a command while the Sentinels know of a primary that does not answer: they are replacing it."""
        return self._known and may_go_on(error, retry=True) and self._room.hold(reply, error)

    def pipeline(self, commands: Sequence[Sequence[CommandArgument]], *, retry: bool = False) -> Awaitable[list[Any]]:
        """Send several commands at once; see [`RedisClient.pipeline`][rustforge.redis.RedisClient.pipeline]."""
        if not commands:
            return super().pipeline(commands)
        reply = self._send(b"".join([pack(*command) for command in commands]), retry, len(commands))
        return self._multiplexer.loop.create_task(self._follow(reply))

    async def _follow(self, reply: Reply) -> list[Any]:
        """Await a pipeline's answers, and send again what a demoted primary refused, until the deadline."""
        answers: list[Any] = await reply
        pauses = Pauses()
        while refused := _refused(reply.payload, answers):
            if self._multiplexer.loop.time() + pauses.longest >= reply.deadline:
                break
            await asyncio.sleep(pauses.take())
            indices = [index for span in refused for index in span]
            commands = unpack(reply.payload)
            payload = b"".join([pack(*commands[index]) for index in indices])
            again = unsent_reply(payload, reply.deadline, retry=reply.retry, expected=len(indices))
            self._multiplexer.resend(again)
            for index, answer in zip(indices, await again, strict=True):
                answers[index] = answer
        return answers

    # -- life cycle ------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """Count what the client did; see [`RedisClient.statistics`][rustforge.redis.RedisClient.statistics]."""
        numbers = super().statistics()
        return {**numbers, "queued": numbers["queued"] + len(self._room)}

    async def aclose(self) -> None:
        """Wait for the answers that are due, then close."""
        await self._room.aclose(RedisClosedError(f"the Redis client of {self.url} is closed"))
        await super().aclose()


def _refused(payload: bytes, answers: list[Any]) -> list[range]:
    """Find the commands and the whole transactions of a pipeline that did not run because the server is a replica."""
    if not any(isinstance(answer, RedisReadOnlyError) for answer in answers):
        return []
    spans: list[range] = []
    end = 0
    for part in split(unpack(payload)):
        start, end = end, end + len(part)
        if any(isinstance(answer, RedisReadOnlyError) for answer in answers[start:end]):
            spans.append(range(start, end))
    return spans
