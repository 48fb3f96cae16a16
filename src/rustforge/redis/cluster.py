"""The client of a Redis Cluster: one multiplexed connection to each primary.

A command that the wrong node got did not run, and follows the node's answer (MOVED, ASK) to the right one. What cannot
be answered now (a node is gone, a slot is on its way) waits until it can, within the command's deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from rustforge.errors import (
    InvalidArgumentError,
    RedisClosedError,
    RedisError,
    RedisReplyError,
)
from rustforge.redis.client import RedisClient
from rustforge.redis.commands import UNSHAREABLE, refusal, spellings, tracked, unpack
from rustforge.redis.multiplexer import Reply, pack
from rustforge.redis.pieces import (
    ASKING,
    Piece,
    all_answers,
    common_slot,
    cut,
    distribute,
    in_order,
    total,
    tracked_read,
    values,
)
from rustforge.redis.slots import KEY_AFTER_COUNT, KEYLESS, SLOTS, command_slot, key_slot, read_redirection
from rustforge.redis.topology import Node, Nowhere, Topology
from rustforge.redis.waiting import LATER, REDIRECTIONS, Pauses, WaitingRoom, may_go_on, unsent_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from rustforge.redis.script import Script
    from rustforge.redis.topology import Owner
    from rustforge.redis.url import Address, RedisUrl
    from rustforge.types import CommandArgument

__all__ = ["ClusterClient"]

_SCAN = spellings("scan")
_SPECIAL = UNSHAREABLE | KEYLESS | KEY_AFTER_COUNT | _SCAN


class ClusterClient(RedisClient):
    """The nodes behind `redis+cluster://` or `rediss+cluster://`."""

    def __init__(self, url: RedisUrl) -> None:
        """Prepare the client; nothing is opened yet."""
        super().__init__(url)
        self._loop = asyncio.get_running_loop()
        self._tls = url.ssl_context()
        self._closed = False
        self._timeout = url.seconds("timeout", 5.0)
        nowhere = Nowhere(str(url), self._hold, self._timeout)
        self._topology = Topology(url, nowhere, self._make_node, partial(self._announce, None))
        self._slots = self._topology.slots
        self._room = WaitingRoom(self._topology.settle, self._route)

    def _make_node(self, address: Address) -> Node:
        return Node(
            address,
            take_over=self._take_over,
            take_back=self._take_back,
            hear=self._hear,
            forget=self._forget,
            doubt=self._topology.doubt,
            username=self.url.username,
            password=self.url.password,
            tls=self._tls,
            timeout=self._timeout,
            connect_timeout=self.url.seconds("connect_timeout", 3.0),
        )

    # -- single commands -------------------------------------------------------------------------------------------

    def call(self, *args: CommandArgument, retry: bool = False) -> Awaitable[Any]:
        """Send one command to the node of its key; see [`RedisClient.call`][rustforge.redis.RedisClient.call].

        A command without a key, such as PING or SCRIPT, goes to any node.
        """
        if args[0] in _SPECIAL or len(args) == 1:
            if args[0] in _SCAN:
                msg = "SCAN walks only one node of a cluster; scan() walks all of them"
                raise InvalidArgumentError(msg)
            if args[0] in UNSHAREABLE:
                raise refusal(args[0])
            return self._topology.owner(command_slot(args)).send(pack(*args), retry)
        return self._slots[key_slot(args[1])].send(pack(*args), retry)

    def run(
        self,
        script: Script,
        keys: Sequence[CommandArgument],
        args: Sequence[CommandArgument] = (),
        *,
        retry: bool = False,
    ) -> Awaitable[Any]:
        """Run a Lua script on the node of its keys; see [`RedisClient.run`][rustforge.redis.RedisClient.run].

        Raises:
            InvalidArgumentError: The keys are in several slots.
        """
        slot = common_slot(keys, f"script {script.name!r}")
        rest = (len(keys), *keys, *args)
        return self._topology.owner(slot).send(
            pack("EVALSHA", script.digest, *rest), retry, fallback=lambda: pack("EVAL", script.source, *rest)
        )

    def _take_over(self, node: Node, reply: Reply, error: RedisReplyError) -> bool:
        """Send a command again that did not run: where the node says, or later."""
        if error.code == "MOVED":
            slot, address = read_redirection(str(error), node.host)
            target = self._topology.node(address)
            if not self._topology.correct(slot, target):
                return self._hold(reply, error)
            target.resend(reply)
            return True
        if error.code == "ASK":
            _, address = read_redirection(str(error), node.host)
            self._ask(self._topology.node(address), reply)
            return True
        return error.code in LATER and self._hold(reply, error)

    def _ask(self, node: Node, reply: Reply) -> None:
        """Send a command with ASKING: its slot is on its way to a node that serves it only when asked so."""
        asking = unsent_reply(ASKING + reply.payload, reply.deadline, retry=reply.retry, expected=2)
        asking.add_done_callback(partial(self._answer, node, reply))
        node.resend(asking)

    def _answer(self, node: Node, reply: Reply, asking: asyncio.Future[Any]) -> None:
        """Pass on what an asked node answered."""
        answer = asking.exception() or asking.result()[1]
        if reply.done():
            return
        if isinstance(answer, RedisReplyError) and answer.code == "NOSCRIPT" and reply.fallback is not None:
            reply.payload, reply.fallback = reply.fallback(), None
            self._ask(node, reply)
        elif not isinstance(answer, RedisError):
            reply.set_result(answer)
        elif not (may_go_on(answer, retry=reply.retry) and self._hold(reply, answer)):
            reply.set_exception(answer)

    def _take_back(self, node: Node, reply: Reply, error: RedisError) -> bool:
        """Keep a command that no connection could be made for; a pipeline looks after its own."""
        if self._closed or reply.parts is not None or not may_go_on(error, retry=True):
            return False
        if self._topology.knows(node):
            return self._hold(reply, error)
        self._route(reply)
        return True

    def _hold(self, reply: Reply, error: RedisError) -> bool:
        """Let a command wait; unless it waits for a slot's keys to arrive, the map is in doubt."""
        if not (isinstance(error, RedisReplyError) and error.code == "TRYAGAIN"):
            self._topology.doubt()
        return self._room.hold(reply, error)

    def _route(self, reply: Reply) -> None:
        """Send a command to the node that its key has now."""
        self._topology.owner(command_slot(unpack(reply.payload)[0])).resend(reply)

    # -- several commands ------------------------------------------------------------------------------------------

    def pipeline(self, commands: Sequence[Sequence[CommandArgument]], *, retry: bool = False) -> Awaitable[list[Any]]:
        """Send several commands at once; see [`RedisClient.pipeline`][rustforge.redis.RedisClient.pipeline].

        A transaction, from MULTI to EXEC, needs all of its keys in one slot.

        Raises:
            InvalidArgumentError: The keys of a transaction are in several slots.
        """
        return self._fan_out(cut(commands), in_order, retry=retry)

    def mget(self, keys: Sequence[CommandArgument]) -> Awaitable[list[bytes | None]]:
        """Read many keys with one write for each node."""
        return self._fan_out([Piece(key_slot(key), pack("GET", key)) for key in keys], values, retry=True)

    def unlink(self, keys: Sequence[CommandArgument]) -> Awaitable[int]:
        """Remove many keys with one write for each node."""
        return self._fan_out([Piece(key_slot(key), pack("UNLINK", key)) for key in keys], total, retry=True)

    def _fan_out(self, pieces: list[Piece], finish: Callable[[list[Piece]], Any], *, retry: bool) -> Awaitable[Any]:
        """Send each piece to its node now, and return an awaitable of what `finish` makes of the answers."""
        return self._loop.create_task(
            self._collect(pieces, self._send_pieces(pieces, retry=retry), finish, retry=retry)
        )

    def _send_pieces(
        self, pieces: Iterable[Piece], deadline: float | None = None, *, retry: bool
    ) -> list[tuple[Owner, Reply, list[Piece]]]:
        groups: dict[Owner, list[Piece]] = {}
        for piece in pieces:
            groups.setdefault(piece.target or self._topology.owner(piece.slot), []).append(piece)
        sent: list[tuple[Owner, Reply, list[Piece]]] = []
        try:
            for node, group in groups.items():
                payload = b"".join([piece.payload for piece in group])
                expected = sum([piece.expected for piece in group])
                if deadline is None:
                    reply = node.send(payload, retry, expected)
                else:
                    reply = unsent_reply(payload, deadline, retry=retry, expected=expected)
                    node.resend(reply)
                sent.append((node, reply, group))
        except RedisError:
            _discard(sent)
            raise
        return sent

    async def _collect(
        self,
        pieces: list[Piece],
        sent: list[tuple[Owner, Reply, list[Piece]]],
        finish: Callable[[list[Piece]], Any],
        *,
        retry: bool,
    ) -> Any:
        """Await the answers, and send those pieces again that did not run until all did or the deadline has come."""
        pauses = Pauses()
        try:
            while sent:
                deadline = sent[0][1].deadline
                again: list[Piece] = []
                lost: RedisError | None = None
                wait = False
                for node, reply, group in sent:
                    try:
                        answers = await reply
                    except RedisError as error:
                        if not may_go_on(error, retry=retry):
                            raise
                        if self._closed:
                            raise self._closed_error() from error
                        lost, wait = error, True
                        for piece in group:
                            piece.unask()
                        again += group
                        self._topology.doubt()
                        continue
                    for piece, refused in distribute(answers, group):
                        again.append(piece)
                        wait = not self._redirect(node, piece, refused) or wait
                if wait:
                    if self._loop.time() + pauses.longest >= deadline:
                        if lost is not None:
                            raise lost
                        break
                    await asyncio.sleep(pauses.take())
                    await pauses.prepare(self._topology.settle, deadline)
                sent = self._send_pieces(again, deadline, retry=retry)
        finally:
            _discard(sent)
        return finish(pieces)

    def _redirect(self, node: Owner, piece: Piece, error: RedisReplyError) -> bool:
        """See where a piece that did not run must go; return `False` when it should wait before."""
        was_asked = piece.unask()
        if error.code not in REDIRECTIONS or not isinstance(node, Node):
            return False
        slot, address = read_redirection(str(error), node.host)
        target = self._topology.node(address)
        if error.code == "MOVED":
            return self._topology.correct(slot, target) and not was_asked
        piece.ask(target)
        return not was_asked

    async def scan(self, match: bytes, count: int = 500) -> AsyncIterator[list[bytes]]:
        """Walk over keys; see [`RedisClient.scan`][rustforge.redis.RedisClient.scan].

        A node is done when it still serves its slots after the last slice; slots that moved meanwhile are walked again
        where they are then.
        """
        await self._topology.renew()
        remaining = set(range(SLOTS))
        pauses, progress_at = Pauses(), self._loop.time()
        while nodes := self._topology.owners(remaining):
            node = nodes.pop()
            served = {slot for slot in remaining if self._slots[slot] is node}
            cursor = b""
            try:
                while cursor != b"0":
                    command = pack("SCAN", cursor or b"0", "MATCH", match, "COUNT", count)
                    [answer] = await node.send(command, True, 1)  # noqa: FBT003
                    if isinstance(answer, RedisReplyError):
                        raise answer
                    cursor, keys = answer
                    progress_at = self._loop.time()
                    if keys:
                        yield keys
                await self._topology.renew()
            except RedisError as error:
                too_late = self._loop.time() + pauses.longest >= progress_at + self._timeout
                if self._closed or too_late or not may_go_on(error, retry=True):
                    raise
                await asyncio.sleep(pauses.take())
                with contextlib.suppress(RedisError):
                    await self._topology.renew()
            else:
                remaining -= {slot for slot in served if self._slots[slot] is node}

    # -- invalidation ----------------------------------------------------------------------------------------------

    @property
    def tracking(self) -> bool:
        """Whether every node with a connection tells of changed keys."""
        connected = [node.tracking for node in self._topology.nodes if node.connected]
        return bool(connected) and all(connected)

    async def track(self, key: CommandArgument) -> tuple[bytes | None, int]:
        """Read a key and hear of its next change; see [`RedisClient.track`][rustforge.redis.RedisClient.track]."""
        answers: list[list[Any]] = await self._fan_out([tracked_read(key)], all_answers, retry=True)
        _, value, remaining = answers[0]
        if isinstance(remaining, list):  # the result of the transaction that an ASK made of it
            _, value, remaining = answers[0][-1]
        return tracked(value, remaining)

    def _hear(self, push: list[Any]) -> None:
        if push[0] == b"invalidate":
            self._announce(push[1])

    def _forget(self, node: Node) -> None:
        self._announce(None)
        if self._topology.knows(node):
            self._topology.doubt()

    # -- life cycle ------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """Sum up what all nodes did; see [`RedisClient.statistics`][rustforge.redis.RedisClient.statistics]."""
        numbers = self._topology.statistics()
        return {**numbers, "queued": numbers["queued"] + len(self._room)}

    async def open(self) -> Self:
        """Learn the slots and connect to all primaries; see [`RedisClient.open`][rustforge.redis.RedisClient.open]."""
        try:
            await self._topology.renew()
            await asyncio.gather(*[node.open() for node in self._topology.nodes], return_exceptions=True)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def aclose(self) -> None:
        """Wait for the answers that are due, then close all connections."""
        self._closed = True
        await self._room.aclose(self._closed_error())
        await self._topology.aclose()

    def _closed_error(self) -> RedisClosedError:
        return RedisClosedError(f"the Redis client of {self.url} is closed")


def _discard(sent: list[tuple[Owner, Reply, list[Piece]]]) -> None:
    """Let nobody wait for these replies, nor hear of their errors."""
    for _, reply, _ in sent:
        if not reply.cancel() and not reply.cancelled():
            reply.exception()
