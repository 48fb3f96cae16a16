"""What a cache counted, for Prometheus and OpenTelemetry.

Both read [`Cache.statistics`][rustforge.cache.Cache.statistics] when they are asked, so they cost nothing between.
Prometheus gets `rustforge_cache_hits_total` and its like; OpenTelemetry gets `rustforge.cache.hits` and its like, which
its Prometheus exporter writes the same way. Each has the label `cache`, the name that was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from prometheus_client.core import CounterMetricFamily
    from prometheus_client.registry import Collector

    from rustforge.cache.cache import Cache

__all__ = ["observe_opentelemetry", "prometheus_collector"]

_HELP = {
    "hits": "Reads that found a value, the stale ones included.",
    "misses": "Reads that found none.",
    "near_hits": "Hits that the near cache answered.",
    "stale": "Hits that were served although their time to live was over.",
    "undecodable": "Values that no longer fitted their type and were computed again.",
    "computed": "Values that a factory computed.",
    "compute_errors": "Factories that failed.",
    "compute_seconds": "Time spent in factories.",
    "unavailable": "Operations that Redis could not serve.",
    "reads": "Round trips to Redis that read a value.",
    "read_seconds": "Time spent in those round trips.",
}


def prometheus_collector(cache: Cache, name: str = "default", *, more: Mapping[str, Cache] | None = None) -> Collector:
    """Make a collector of a cache's counters for `prometheus_client`.

    Args:
        cache: The cache.
        name: The value of the label `cache`.
        more: Further caches by name, since a registry takes only one collector of these metrics.

    Returns:
        The collector, which the caller registers.

    Raises:
        ConfigurationError: `prometheus_client` is not installed.

    Example:
        ```python
        prometheus_client.REGISTRY.register(prometheus_collector(cache, "articles"))
        ```
    """
    try:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - an extra
        from prometheus_client.registry import Collector  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error, "prometheus") from error

    class CacheCollector(Collector):
        """Reads the counters at each scrape."""

        def collect(self) -> Iterator[CounterMetricFamily]:
            """Give each counter with a sample for each cache."""
            for counter, text in _HELP.items():
                family = CounterMetricFamily(f"rustforge_cache_{counter}", text, labels=["cache"])
                for label, one in {name: cache, **(more or {})}.items():
                    family.add_metric([label], getattr(one.statistics(), counter))
                yield family

    return CacheCollector()


def observe_opentelemetry(cache: Cache, meter: Meter, name: str = "default") -> None:
    """Report a cache's counters to OpenTelemetry.

    Args:
        cache: The cache.
        meter: The meter that gets the observable counters.
        name: The value of the attribute `cache`, to tell several caches apart.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.

    Example:
        ```python
        observe_opentelemetry(cache, opentelemetry.metrics.get_meter("shop"), "articles")
        ```
    """
    try:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error, "otel") from error

    def watch(counter: str, text: str) -> None:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(getattr(cache.statistics(), counter), {"cache": name})]

        unit = "s" if counter.endswith("_seconds") else "1"
        meter.create_observable_counter(f"rustforge.cache.{counter}", [read], unit, text)

    for counter, text in _HELP.items():
        watch(counter, text)


def _missing(error: ImportError, extra: str) -> ConfigurationError:
    return ConfigurationError(f"{error.name} is not installed; it comes with: pip install 'rustforge[{extra}]'")
