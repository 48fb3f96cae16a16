"""Which of Redis Cluster's 16,384 slots a key lives in, and what a cluster says about who serves it."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING, Any, cast

from rustforge.redis.commands import spellings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.types import CommandArgument

__all__ = ["KEYLESS", "KEY_AFTER_COUNT", "SLOTS", "command_slot", "key_slot", "read_redirection", "read_slots"]

SLOTS = 16_384
"""How many slots a cluster has."""

KEYLESS = spellings(
    "acl auth client cluster command config dbsize debug discard echo exec flushall flushdb function info keys "
    "lastsave latency module multi ping publish randomkey role script shutdown slowlog time unwatch wait"
)
"""Commands that name no key, so that any node will do."""

KEY_AFTER_COUNT = spellings("eval evalsha eval_ro evalsha_ro fcall fcall_ro")
"""Commands whose keys come after a script and their number."""


def key_slot(key: CommandArgument) -> int:
    """Compute the slot of a key: of the part between its first braces, if that is not empty, else of the whole.

    Example:
        ```python
        key_slot("{user:1}:name") == key_slot("{user:1}:age")  # True
        ```
    """
    if not isinstance(key, bytes):
        key = (key if isinstance(key, str) else str(key)).encode()
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS  # from 0 it is CRC16/XMODEM, the one that Redis Cluster uses


def command_slot(command: Sequence[CommandArgument]) -> int | None:
    """Compute the slot of a command's first key, or `None` where it has none."""
    name = command[0]
    if len(command) == 1 or name in KEYLESS:
        return None
    if name not in KEY_AFTER_COUNT:
        return key_slot(command[1])
    return None if command[2] in {0, "0", b"0"} else key_slot(command[3])


def read_slots(answer: list[Any], asked: str) -> dict[tuple[str, int], list[tuple[int, int]]]:
    """Read the answer to CLUSTER SLOTS.

    Args:
        answer: For each range of slots its first and last one, its primary, and replicas.
        asked: The host that answered, which stands for every host that the answer leaves open.

    Returns:
        The ranges of each primary, by its address.
    """
    ranges: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for first, last, (host, port, *rest), *_ in answer:
        if host == b"?":  # the cluster prefers host names and does not know this node's
            host = _metadata(rest).get(b"ip")  # noqa: PLW2901
        ranges.setdefault((host.decode() if host else asked, port), []).append((first, last))
    return ranges


def read_redirection(message: str, asked: str) -> tuple[int, tuple[str, int]]:
    """Read a MOVED or ASK, such as `MOVED 3999 127.0.0.1:6381`: the slot, and the node to go to.

    Args:
        message: The error reply.
        asked: The host that sent it, which stands for a host that the message leaves open.
    """
    _, slot, place = message.split(" ")[:3]
    host, _, port = place.rpartition(":")
    return int(slot), (asked if host in {"", "?"} else host.strip("[]"), int(port))


def _metadata(rest: list[Any]) -> dict[bytes, bytes]:
    """Read what CLUSTER SLOTS tells of a node after its address and id: a map, or a flat list."""
    found: Any = rest[1] if len(rest) > 1 else {}
    if isinstance(found, dict):
        return cast("dict[bytes, bytes]", found)
    return dict(zip(found[::2], found[1::2], strict=False))
