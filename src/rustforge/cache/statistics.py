"""What a cache counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CacheStatistics"]


@dataclass(slots=True)
class CacheStatistics:
    """Counters of one cache object since it was made.

    Attributes:
        hits: Reads that found a value, the stale ones included.
        misses: Reads that found none.
        near_hits: Those of the hits that the near cache answered.
        stale: Those of the hits that `remember` served although their time to live was over.
        undecodable: Values that no longer fitted their type and were computed again.
        computed: Values that a factory computed.
        compute_errors: Factories that failed.
        compute_seconds: Time spent in factories, in seconds.
        unavailable: Operations that Redis could not serve.
        reads: Round trips to Redis that read a value.
        read_seconds: Time spent in those round trips, in seconds.
    """

    hits: int = 0
    misses: int = 0
    near_hits: int = 0
    stale: int = 0
    undecodable: int = 0
    computed: int = 0
    compute_errors: int = 0
    compute_seconds: float = 0.0
    unavailable: int = 0
    reads: int = 0
    read_seconds: float = 0.0
