"""One adapter for each client: how it does what is measured, as its own documentation recommends.

Every adapter is a module of functions. Those that read are async context managers: given the server's URL they connect,
store what will be read, and give the operation to measure. A package that is not installed is skipped and named in the
results.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Client:
    """A client that takes part.

    Attributes:
        label: Its name.
        module: Its adapter, in this package.
        distribution: The package that carries it.
        setup: How it is set up, for the page.
    """

    label: str
    module: str
    distribution: str
    setup: str


CLIENTS = (
    Client("Rustforge", "rustforge", "rustforge", "As it comes; a key prefix, one connection."),
    Client("redis-py", "redis_py", "redis", "`redis.asyncio.Redis.from_url`, with hiredis; its pool of up to 100."),
    Client(
        "cashews",
        "cashews",
        "cashews",
        "Pickle, which is its default. Two settings that make it faster: `check_repr=False` (else each value that is "
        "read goes through `repr`) and `max_connections=100` (else 10).",
    ),
    Client(
        "aiocache",
        "aiocache",
        "aiocache",
        "`StringSerializer` for text, `PickleSerializer` for models. Where more than 100 callers wait, a blocking pool "
        "of 100 connections, as its default one raises.",
    ),
    Client("valkey-glide", "glide", "valkey-glide", "`GlideClient.create`; a core in Rust, one connection."),
    Client("coredis", "coredis", "coredis", "`coredis.Redis`; its own pool."),
    Client("fakeredis", "fakeredis", "fakeredis", "`FakeAsyncRedis`, in the process."),
    Client("burner-redis", "burner_redis", "burner-redis", "`BurnerRedis`, in the process; a core in Rust."),
)
BY_MODULE = {client.module: client for client in CLIENTS}
OURS = "rustforge"
BASELINE = "redis_py"


def find(module: str, function: str) -> Any:
    """Load one function of an adapter, and with it the client's package and no other."""
    return getattr(import_module(f"benchmarks.clients.{module}"), function)
