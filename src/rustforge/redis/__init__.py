"""The one connection layer: a multiplexed client for a Redis or Valkey server, Sentinel, Cluster, or this process.

Every module of Rustforge reaches Redis through [`connect`][rustforge.redis.connect]. One connection serves all
tasks of an event loop: the commands of one tick leave in one write, and replies are matched in order.
"""

from __future__ import annotations

from rustforge.redis.client import RedisClient as RedisClient
from rustforge.redis.script import Script as Script
from rustforge.redis.url import RedisUrl as RedisUrl

__all__ = ["RedisClient", "RedisUrl", "Script", "connect", "escape_glob"]


def connect(url: str | RedisUrl) -> RedisClient:
    """Make the client for a URL; it connects when it is opened or with its first command.

    Args:
        url: `memory://`, `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`; see
            [`RedisUrl.parse`][rustforge.redis.RedisUrl.parse].

    Raises:
        ConfigurationError: The URL is not understood.
        RuntimeError: No event loop is running.

    Example:
        ```python
        async with connect("redis://127.0.0.1:6379/0") as client:
            await client.call("SET", "greeting", "hello", retry=True)
        ```
    """
    parsed = RedisUrl.parse(url) if isinstance(url, str) else url
    if parsed.topology == "memory":
        from rustforge.redis.memory import MemoryClient  # noqa: PLC0415 - each client is loaded where it is used

        return MemoryClient(parsed)
    if parsed.topology == "cluster":
        from rustforge.redis.cluster import ClusterClient  # noqa: PLC0415 - each client is loaded where it is used

        return ClusterClient(parsed)
    if parsed.topology == "sentinel":
        from rustforge.redis.sentinel import SentinelClient  # noqa: PLC0415 - each client is loaded where it is used

        return SentinelClient(parsed)
    from rustforge.redis.standalone import StandaloneClient  # noqa: PLC0415 - each client is loaded where it is used

    return StandaloneClient(parsed)


def escape_glob(text: str) -> str:
    r"""Escape text so that a Redis glob pattern matches it literally.

    Example:
        ```python
        escape_glob("a*[b]?")  # 'a\\*\\[b\\]\\?'
        ```
    """
    return "".join(f"\\{char}" if char in "*?[]^-\\" else char for char in text)
