"""Counters for Prometheus and OpenTelemetry, read by the real libraries."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint, Sum
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rustforge.cache import CacheStatistics
from rustforge.cache.metrics import _HELP, observe_opentelemetry, prometheus_collector
from rustforge.errors import ConfigurationError
from tests.support.caches import opened

if TYPE_CHECKING:
    from rustforge.cache import Cache

COUNTERS = [field.name for field in fields(CacheStatistics)]


async def work(cache: Cache) -> None:
    """Count two hits, two misses, one computation and one failure."""
    for _ in range(2):
        await cache.remember("a", 60, opened())
    await cache.get("a")
    await cache.get("x")
    with pytest.raises(LookupError):
        await cache.remember("b", 60, opened(LookupError()))


def test_nothing_is_forgotten() -> None:
    """Every counter of the statistics has a description."""
    assert list(_HELP) == COUNTERS


async def test_prometheus(memory_cache: Cache) -> None:
    """Each counter is exposed under its name with the cache's label, and counts on from scrape to scrape."""
    registry = CollectorRegistry()
    registry.register(prometheus_collector(memory_cache, "articles", more={"other": memory_cache}))
    for times in (1, 2):
        await memory_cache.flush_all()
        await work(memory_cache)
        families = {
            family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())
        }
        assert list(families) == [f"rustforge_cache_{name}" for name in COUNTERS]
        assert {family.type for family in families.values()} == {"counter"}
        assert all(family.documentation for family in families.values())
        for name, expected in (("hits", 2), ("misses", 2), ("computed", 1), ("compute_errors", 1), ("near_hits", 0)):
            labels = {"cache": "articles"}
            assert registry.get_sample_value(f"rustforge_cache_{name}_total", labels) == expected * times
        assert registry.get_sample_value("rustforge_cache_hits_total", {"cache": "other"}) == 2 * times
    assert registry.get_sample_value("rustforge_cache_read_seconds_total", {"cache": "articles"}) == pytest.approx(
        memory_cache.statistics().read_seconds
    )


async def test_opentelemetry(memory_cache: Cache) -> None:
    """Each counter is a monotonic sum with the cache's name, read when the reader asks."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    observe_opentelemetry(memory_cache, provider.get_meter("test"), "articles")
    for times in (1, 2):
        await memory_cache.flush_all()
        await work(memory_cache)
        data = reader.get_metrics_data()
        assert data is not None
        metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        assert list(metrics) == [f"rustforge.cache.{name}" for name in COUNTERS]
        values = {}
        for name, metric in metrics.items():
            assert isinstance(metric.data, Sum)
            assert metric.data.is_monotonic
            (point,) = metric.data.data_points
            assert isinstance(point, NumberDataPoint)
            assert point.attributes == {"cache": "articles"}
            assert metric.unit == ("s" if name.endswith("_seconds") else "1")
            values[name.removeprefix("rustforge.cache.")] = point.value
        chosen = [values[name] for name in ("hits", "misses", "computed", "compute_errors", "stale")]
        assert chosen == [2 * times, 2 * times, times, times, 0]
    provider.shutdown()


async def test_what_is_not_installed(memory_cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error names what to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[prometheus\]'"):
        prometheus_collector(memory_cache)
    meter = MeterProvider(shutdown_on_exit=False).get_meter("test")
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[otel\]'"):
        observe_opentelemetry(memory_cache, meter)
