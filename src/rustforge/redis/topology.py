"""Who is in a Redis Cluster and serves which slots: asked from the nodes, corrected by their answers, kept fresh."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from rustforge.errors import (
    RedisAuthenticationError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from rustforge.redis.multiplexer import Multiplexer, Reply, pack, require_loop
from rustforge.redis.slots import SLOTS, read_slots
from rustforge.redis.url import show_address
from rustforge.redis.waiting import unsent_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rustforge.redis.url import Address, RedisUrl

__all__ = ["Node", "Nowhere", "Topology"]

_logger = logging.getLogger(__name__)
_CLUSTER_SLOTS = pack("CLUSTER", "SLOTS")
_PERIOD = 10.0  # the map is asked for even when nothing seems wrong
_CALM = 1.0  # and at most so often because of a redirection, a lost connection or a node's silence
_HEAD_START = 0.2  # for one node to answer before the next is asked, too
_PATIENCE = 0.5  # with a node that left the map and still owes answers
_PING_PONG = 0.05  # two nodes that name each other as a slot's owner are believed no faster than this


class Node(Multiplexer):
    """The connection to one node of the cluster.

    Attributes:
        address: Its host and port.
    """

    def __init__(
        self,
        address: Address,
        *,
        take_over: Callable[[Node, Reply, RedisReplyError], bool],
        take_back: Callable[[Node, Reply, RedisError], bool],
        hear: Callable[[list[Any]], None],
        forget: Callable[[Node], None],
        doubt: Callable[[], None],
        **options: Any,
    ) -> None:
        """Prepare the connection; nothing is opened yet.

        Args:
            address: The node's host and port.
            take_over: `Multiplexer`'s `on_error`.
            take_back: Its `on_unsent`.
            hear: Its `on_push`.
            forget: Its `on_lost`.
            doubt: Called with each attempt to connect, since the node may not be there any more.
            **options: Further options of `Multiplexer`.
        """
        super().__init__(
            self._dial_up,
            place=show_address(address),
            on_error=partial(take_over, self),
            on_unsent=partial(take_back, self),
            on_push=hear,
            on_lost=partial(forget, self),
            **options,
        )
        self.address = address
        self._doubt = doubt

    async def _dial_up(self) -> Address:
        self._doubt()
        return self.address

    @property
    def host(self) -> str:
        """The host, which also stands for hosts that this node's answers leave open."""
        return self.address[0]

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    @property
    def silent(self) -> bool:
        """Whether it has owed an answer for a while."""
        link = self._link
        return link is not None and len(link.pending) > 0 and self.loop.time() - link.quiet_since >= _CALM


class Nowhere:
    """Stands where no node serves a slot, or none is known yet: its commands wait until there is one."""

    def __init__(self, place: str, hold: Callable[[Reply, RedisError], bool], timeout: float) -> None:
        """Say how messages name the cluster, who keeps the commands that wait, and how long they may."""
        self._place = place
        self._hold = hold
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self.closed = False

    def send(
        self,
        payload: bytes,
        retry: bool = False,  # noqa: FBT001, FBT002 - as Multiplexer.send, whose place it takes
        expected: int = 0,
        fallback: Callable[[], bytes] | None = None,
    ) -> Reply:
        """Let a command wait; several at once fail, because they may have to part ways."""
        if self.closed:
            raise self._closed_error()
        require_loop(self._loop)
        deadline = self._loop.time() + self._timeout
        reply = unsent_reply(payload, deadline, retry=retry, expected=expected, fallback=fallback)
        self.resend(reply)
        return reply

    def resend(self, reply: Reply) -> None:
        """Let a command wait further."""
        error = RedisConnectionError(f"no node of the Redis Cluster at {self._place} serves the slot of this command")
        if self.closed:
            error = self._closed_error()
        if reply.parts is not None or not self._hold(reply, error):
            reply.set_exception(error)

    def _closed_error(self) -> RedisClosedError:
        return RedisClosedError(f"the Redis client of {self._place} is closed")


Owner: TypeAlias = Node | Nowhere


class Topology:
    """The nodes of a cluster, and the owner of each slot.

    Attributes:
        slots: The owner of each slot. The list is changed in place, so it may be kept.
    """

    def __init__(
        self,
        url: RedisUrl,
        nowhere: Nowhere,
        make_node: Callable[[Address], Node],
        on_change: Callable[[], None],
    ) -> None:
        """Know nothing yet but the URL's seed nodes.

        Args:
            url: Names the seed nodes.
            nowhere: The owner of slots that have none.
            make_node: Prepares the connection to an address.
            on_change: Called when slots changed hands.
        """
        self.slots: list[Owner] = [nowhere] * SLOTS
        self._nowhere = nowhere
        self._url = url
        self._make_node = make_node
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[Address, Node] = {}
        self._corrected: dict[int, float] = {}
        self._doubtful = True
        self._renewal: asyncio.Task[None] | None = None
        self._renewed_at = self._outdated_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: dict[Node, asyncio.Task[None]] = {}
        self._past: Counter[str] = Counter(dict.fromkeys(("commands", "writes", "connects", "timeouts", "lost"), 0))
        self._closed = False

    # -- asking the map --------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """The nodes that are known now."""
        return list(self._nodes.values())

    def owner(self, slot: int | None) -> Owner:
        """Tell who serves a slot; any node, one with a connection if there is one, for `None`."""
        if slot is not None:
            return self.slots[slot]
        connected = (node for node in self._nodes.values() if node.connected)
        return next(connected, None) or next(iter(self._nodes.values()), self._nowhere)

    def owners(self, slots: Iterable[int]) -> set[Node]:
        """Tell who serves these slots; those that nobody serves do not count."""
        return {owner for owner in {self.slots[slot] for slot in slots} if isinstance(owner, Node)}

    def node(self, address: Address) -> Node:
        """Give the node at an address, which need not serve a slot."""
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = self._make_node(address)
        return node

    def knows(self, node: Node) -> bool:
        """Tell whether a node is still part of the map."""
        return self._nodes.get(node.address) is node

    # -- changing it -----------------------------------------------------------------------------------------------

    def correct(self, slot: int, node: Node) -> bool:
        """Believe a MOVED; return `False` when nodes disagree, so that the command should wait a little."""
        if self.slots[slot] is not node:
            now = self._loop.time()
            agreed = now - self._corrected.get(slot, 0.0) > _PING_PONG
            self._corrected[slot] = now
            self.slots[slot] = node
            self.doubt()
            return agreed
        return True

    def doubt(self) -> None:
        """Renew the map: now, or with the next command that fails if it was renewed just before."""
        self._doubtful = True
        if not self._closed and self._loop.time() - self._renewed_at >= _CALM:
            _ = self._begin()

    async def settle(self) -> None:
        """Renew the map if there is a reason to doubt it."""
        if self._doubtful:
            await self.renew()

    async def renew(self) -> None:
        """Ask for the map; whoever else asks meanwhile gets the same answer.

        Raises:
            RedisConnectionError: No node answers, or they are not a cluster.
        """
        if self._closed:
            msg = f"the Redis client of {self._url} is closed"
            raise RedisClosedError(msg)
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        if self._renewal is None:
            self._renewal = self._loop.create_task(self._renew(), name="rustforge-redis-cluster-map")
            self._renewal.add_done_callback(self._finish)
        return self._renewal

    def _finish(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        self._renewed_at = self._loop.time()
        if not renewal.cancelled() and renewal.exception() is not None:
            _logger.debug("The map of %s could not be renewed: %s", self._url, renewal.exception())
        self._outdated_at = self._renewed_at + _PERIOD * random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
        if self._timer is None and not self._closed:
            self._look_around()

    def _look_around(self) -> None:
        """Renew the map when it is old, or when a node owes answers for so long that it may have been replaced."""
        self._timer = self._loop.call_later(_CALM, self._look_around)
        if self._loop.time() >= self._outdated_at:
            _ = self._begin()
        elif any(node.silent for node in self._nodes.values()):
            self.doubt()

    async def _renew(self) -> None:
        """Ask the nodes, one after the other where they are quick, and take the first answer."""
        candidates: list[Node] = [self.node(seed) for seed in self._url.addresses if seed not in self._nodes]
        known = [node for node in self._nodes.values() if node not in candidates]
        random.shuffle(known)
        candidates = sorted(known, key=lambda node: not node.connected) + candidates
        asking: set[asyncio.Task[dict[tuple[str, int], list[tuple[int, int]]]]] = set()
        errors: list[BaseException] = []
        try:
            while candidates or asking:
                if candidates:
                    asking.add(self._loop.create_task(_ask(candidates.pop(0))))
                wait = _HEAD_START if candidates else None
                done, asking = await asyncio.wait(asking, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                failed = [error for task in done if (error := task.exception()) is not None]
                if len(failed) < len(done):
                    self._install(next(task.result() for task in done if task.exception() is None))
                    return
                errors += failed
        finally:
            for task in asking:
                task.cancel()
        raise self._failure(errors)

    def _failure(self, errors: list[BaseException]) -> RedisError:
        """Sum up in one line why there is no map."""
        for error in errors:
            if isinstance(error, RedisAuthenticationError):
                return error
        places = ", ".join(show_address(address) for address in self._url.addresses)
        msg = f"no node of the Redis Cluster at {places} tells who serves its slots: {errors[0]}"
        return RedisConnectionError(msg)

    def _install(self, ranges: dict[tuple[str, int], list[tuple[int, int]]]) -> None:
        """Replace the map, and part from nodes that are no longer in it."""
        slots: list[Owner] = [self._nowhere] * SLOTS
        for address, spans in ranges.items():
            node = self.node(address)
            for first, last in spans:
                slots[first : last + 1] = [node] * (last + 1 - first)
        changed = slots != self.slots
        self.slots[:] = slots
        self._doubtful = False
        for node in self.nodes:
            if node.address not in ranges:
                del self._nodes[node.address]
                self._leaving[node] = self._loop.create_task(self._part(node))
        if changed:
            self._corrected.clear()
            self._on_change()

    async def _part(self, node: Node) -> None:
        await node.aclose(_PATIENCE)
        self._past.update(node.statistics)
        del self._leaving[node]

    # -- life cycle ------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """Sum up what all nodes did, also those that left."""
        total = Counter(self._past)
        for node in (*self._nodes.values(), *self._leaving):
            total.update(node.statistics)
            total.update(in_flight=node.in_flight, queued=node.queued)
        return {"in_flight": 0, "queued": 0, **total}

    async def aclose(self) -> None:
        """Close the connections to all nodes, once the answers are there that are due."""
        self._closed = self._nowhere.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        await asyncio.gather(*[node.aclose() for node in self._nodes.values()], *self._leaving.values())
        self.slots[:] = [self._nowhere] * SLOTS


async def _ask(node: Node) -> dict[tuple[str, int], list[tuple[int, int]]]:
    """Ask one node who serves which slots."""
    await node.open()
    [answer] = await node.send(_CLUSTER_SLOTS, True, 1)  # noqa: FBT003
    if isinstance(answer, RedisReplyError):
        if "cluster support disabled" in str(answer):
            msg = f"Redis at {node.place} is not part of a cluster; write redis:// for a single server"
            raise RedisConnectionError(msg)
        msg = f"Redis at {node.place} does not tell who serves its slots: {answer}"
        raise RedisConnectionError(msg)
    ranges = read_slots(answer, node.host)
    if not ranges:
        msg = f"Redis at {node.place} knows of no node that serves slots"
        raise RedisConnectionError(msg)
    return ranges
