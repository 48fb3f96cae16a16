"""One adapter for each job queue: how it enqueues, and how it runs a worker, as its own documentation recommends.

Every adapter is a module of two functions. `produce(url, variant)` is an async context manager: it connects and gives
a `Producer`. `work(url, variant, concurrency)` runs a worker until the process gets SIGTERM; its handler calls `ran`
and nothing else. An adapter runs in the environment of its peer, so it imports that peer, the standard library and
`benchmarks.jobs.adapter`, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A job queue that takes part.

    Attributes:
        label: Its name.
        module: Its adapter, in this package.
        distributions: The packages whose versions count, the queue itself first.
        setup: How it is set up, for the page.
        recovery: What becomes, by its defaults, of a job whose worker was killed, for the page.
    """

    label: str
    module: str
    distributions: tuple[str, ...]
    setup: str
    recovery: str


PEERS = (
    Peer(
        "Rustforge",
        "rustforge",
        ("rustforge", "hiredis", "pydantic", "uvloop"),
        "As it comes. Concurrency 100.",
        "Runs again after the lease, 10 s, and at most a second more.",
    ),
    Peer(
        "dramatiq",
        "dramatiq",
        ("dramatiq", "redis", "hiredis"),
        "`RedisBroker` with its default middleware, one process of 8 threads, its default. For the most jobs a "
        "second, 32 threads and `dramatiq_queue_prefetch=200`, which more than doubled them. It enqueues without "
        "asyncio, from one thread, as several are no faster.",
        "Runs again once the dead worker's heartbeat is 60 s old and another's maintenance, which is left to chance "
        "(one command in a thousand), has come upon it.",
    ),
    Peer(
        "taskiq",
        "taskiq",
        ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop"),
        "`RedisStreamBroker`, which acknowledges, and `ListQueueBroker`, which does not and loses what a dead worker "
        "held. 100 async tasks, no result backend, `socket_timeout=None`, as its BRPOP waits longer than the 5 s that "
        "redis-py allows.",
        "With the stream broker it runs again after 10 minutes (`idle_timeout`), also where the first run still goes "
        "on; with the list broker it is lost.",
    ),
    Peer(
        "SAQ",
        "saq",
        ("saq", "redis", "hiredis", "uvloop"),
        "Concurrency 100, `max_concurrent_ops=100` (else 20), no results (`ttl=-1`), a client with "
        "`max_connections=1000` and `socket_timeout=None`, as it needs more than 100 connections and waits longer than "
        "5 s.",
        "A sweep every 60 s finds it once its time-out (10 s) is over; with `retries=1`, the default, it is given up.",
    ),
    Peer(
        "arq",
        "arq",
        ("arq", "redis", "hiredis", "uvloop"),
        "`max_jobs=100`, no results (`keep_result=0`). It looks for jobs every 0.5 s, its default; for the most jobs a "
        "second, every 10 ms (`poll_delay`).",
        "Runs again after its time-out and 10 s more: 310 s.",
    ),
    Peer(
        "docket",
        "docket",
        ("pydocket", "redis", "hiredis", "uvloop"),
        "Concurrency 100, no results (`execution_ttl=0`), `max_connections=1000` in the URL, as 100 jobs need more "
        "than 100 connections. For the most jobs a second, `minimum_check_interval` of 10 ms (else 250), which made it "
        "several times as fast.",
        "Runs again after 5 minutes (`redelivery_timeout`).",
    ),
    Peer(
        "streaq",
        "streaq",
        ("streaq", "coredis", "uvloop"),
        "Concurrency 100, no results (`ttl=0`), uvloop.",
        "Runs again after 60 s (`idle_timeout`).",
    ),
    Peer(
        "Celery",
        "celery",
        ("celery", "kombu", "redis", "hiredis"),
        "Prefork with one child, `task_ignore_result`, no gossip and no mingle. For the most jobs a second, the solo "
        "pool and a prefetch multiplier of 100. It enqueues from one thread, as several are no faster.",
        "Lost, as it is acknowledged before it runs; with `acks_late` it runs again after an hour "
        "(`visibility_timeout`).",
    ),
    Peer(
        "RQ",
        "rq",
        ("rq", "redis", "hiredis"),
        "`SimpleWorker`, which does not fork for each job, no results (`result_ttl=0`). It enqueues from one thread, "
        "as several are no faster.",
        "Counted as failed once the job's heartbeat is over (90 s, with `SimpleWorker` 240 s) and a worker's "
        "maintenance, every 10 minutes, has come upon it; it runs again only where the job has a `Retry`.",
    ),
    Peer(
        "redis-py, by hand",
        "by_hand",
        ("redis", "hiredis", "uvloop"),
        "No job queue: LPUSH and BRPOP of JSON, 100 tasks at a time. No retries, and what a dead worker held is lost.",
        "Lost.",
    ),
)
BY_MODULE = {peer.module: peer for peer in PEERS}
OURS = "rustforge"
BY_HAND = "by_hand"
"""What an application can do without a job queue; it is shown, and is not one of the peers."""
