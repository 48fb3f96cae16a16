"""The cache: typed values on Redis, Valkey or in this process, computed once however many ask."""

from __future__ import annotations

from rustforge.cache.cache import Cache as Cache
from rustforge.cache.cache import Connecting as Connecting
from rustforge.cache.decorator import CachedFunction as CachedFunction
from rustforge.cache.decorator import cached as cached
from rustforge.cache.lock import Lock as Lock
from rustforge.cache.near import NearCache as NearCache
from rustforge.cache.rate_limit import RateLimit as RateLimit
from rustforge.cache.statistics import CacheStatistics as CacheStatistics

__all__ = ["Cache", "CacheStatistics", "CachedFunction", "Connecting", "Lock", "NearCache", "RateLimit", "cached"]
