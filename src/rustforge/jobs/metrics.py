"""What queues hold and workers did, for Prometheus and OpenTelemetry.

[`JobMetrics`][rustforge.jobs.metrics.JobMetrics] asks the queues how they stand every few seconds, as Redis cannot be
asked while a scrape is answered, and hears from workers of every run that ended. What it says about queues is of the
whole system, whichever process tells it; what it says about runs is of the workers that it watches. While Redis does
not answer, the gauges are left out.

Prometheus gets `rustforge_jobs_depth` and its like; OpenTelemetry gets `rustforge.jobs.depth` and its like, which its
Prometheus exporter writes the same way.

| Metric | Labels | What it is |
|---|---|---|
| `depth` | `queue`, `place` | Jobs that are not running, by where they stand. |
| `in_flight` | `queue` | Jobs that run. |
| `oldest_seconds` | `queue` | How long the oldest ready job has been waiting. |
| `workers`, `paused` | `queue` | Workers that live; 1 where the queue is paused. |
| `runs` | `queue`, `job`, `outcome` | Runs that ended. |
| `retries`, `failures` | `queue`, `job` | Failed runs that will be repeated; jobs that failed for good. |
| `duration_seconds` | `queue`, `job` | How long handlers took, as a histogram. |
| `refresh_errors` | | How often the queues could not be asked. |
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from typing import TYPE_CHECKING, Self

from rustforge.clock import milliseconds
from rustforge.errors import ConfigurationError, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from rustforge.jobs.job import JobContext
    from rustforge.jobs.queue import Queue, QueueStats
    from rustforge.jobs.worker import Worker
    from rustforge.types import Duration

__all__ = ["BUCKETS", "JobMetrics", "observe_opentelemetry", "prometheus_collector"]

_logger = logging.getLogger(__name__)

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""The upper bounds of the histogram of durations, in seconds."""

_PLACES = ("ready", "delayed", "waiting", "parked", "quarantined", "dead")
_GAUGES: dict[str, tuple[str, Callable[[QueueStats], float]]] = {
    "in_flight": ("Jobs that run.", lambda stats: stats.running),
    "oldest_seconds": ("How long the oldest ready job has been waiting.", lambda stats: stats.oldest_seconds),
    "workers": ("Workers that live.", lambda stats: stats.workers),
    "paused": ("Whether the queue is paused.", lambda stats: int(stats.paused)),
}
_COUNTERS = {
    "retries": ("Failed runs that will be repeated.", "retry"),
    "failures": ("Jobs that failed for good.", "dead"),
}
_DEPTH = "Jobs that are not running, by where they stand."
_RUNS = "Runs that ended, by what became of the job."
_DURATION = "How long handlers took."
_REFRESH_ERRORS = "How often the queues could not be asked."


class JobMetrics:
    """Keeps what is told about queues and runs.

    Attributes:
        stats: How each queue stood when it was last asked; empty where Redis did not answer.
        runs: How many runs ended, by queue, job and outcome.
        refresh_errors: How often the queues could not be asked.

    Example:
        ```python
        async with JobMetrics(ctx.queue) as metrics:
            metrics.watch(worker)
            prometheus_client.REGISTRY.register(prometheus_collector(metrics))
            await worker.run()
        ```
    """

    def __init__(
        self,
        queue: Queue,
        names: Sequence[str] | None = None,
        *,
        interval: Duration = 15,
        buckets: Sequence[float] = BUCKETS,
    ) -> None:
        """Say what is measured.

        Args:
            queue: The queues.
            names: Which of them; `None` for all that hold jobs, or have held some since.
            interval: How often they are asked. Seconds as a number, or a `timedelta`.
            buckets: The upper bounds of the histogram of durations, in seconds.
        """
        self.stats: dict[str, QueueStats] = {}
        self.runs: dict[tuple[str, str, str], int] = {}
        self.refresh_errors: int = 0
        self.buckets: tuple[float, ...] = tuple(sorted(buckets))
        self._queue = queue
        self._names = names
        self._seen: set[str] = set(names or ())
        self._interval = milliseconds(interval, "interval") / 1000
        self._durations: dict[tuple[str, str], list[float]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[str, str, float], None]] = []

    def watch(self, worker: Worker) -> None:
        """Count the runs of a worker."""
        worker.on_outcome(self._count)

    def durations(self) -> dict[tuple[str, str], tuple[list[int], float]]:
        """Return for each queue and job how many runs fell into each bucket and beyond the last, and their sum."""
        return {key: ([int(one) for one in found[:-1]], found[-1]) for key, found in tuple(self._durations.items())}

    def on_run(self, listener: Callable[[str, str, float], None]) -> None:
        """Hear of each run: its queue, its job and the seconds it took."""
        self._listeners.append(listener)

    def _count(self, ctx: JobContext, outcome: str, seconds: float) -> None:
        key = queue, job = ctx.queue_name, ctx.job_name
        run = queue, job, outcome
        self.runs[run] = self.runs.get(run, 0) + 1
        found = self._durations.get(key)
        if found is None:
            found = self._durations[key] = [0.0] * (len(self.buckets) + 2)
        found[bisect_left(self.buckets, seconds)] += 1
        found[-1] += seconds
        for listener in self._listeners:
            listener(queue, job, seconds)

    async def refresh(self) -> None:
        """Ask the queues how they stand; the block does so by itself."""
        try:
            if self._names is None:
                self._seen.update(await self._queue.names())
            self.stats = {name: await self._queue.stats(name) for name in sorted(self._seen)}
        except RedisError as error:
            self.refresh_errors += 1
            self.stats = {}
            _logger.warning("The queues could not be asked how they stand: %s", error)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.refresh()

    async def __aenter__(self) -> Self:
        """Ask the queues now, and from now on."""
        await self.refresh()
        self._task = asyncio.create_task(self._go_on(), name="rustforge-job-metrics")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None


def prometheus_collector(metrics: JobMetrics) -> Collector:
    """Make a collector for `prometheus_client`.

    Args:
        metrics: What is to be told.

    Returns:
        The collector, which the caller registers.

    Raises:
        ConfigurationError: `prometheus_client` is not installed.
    """
    try:
        from prometheus_client.core import (  # noqa: PLC0415 - an extra
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )
        from prometheus_client.registry import Collector  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error, "prometheus") from error

    class JobCollector(Collector):
        """Tells at each scrape what is known."""

        def collect(self) -> Iterator[Metric]:
            """Give every metric."""
            depth = GaugeMetricFamily("rustforge_jobs_depth", _DEPTH, labels=["queue", "place"])
            for name, place, value in _depths(metrics):
                depth.add_metric([name, place], value)
            yield depth
            for gauge, (text, read) in _GAUGES.items():
                family = GaugeMetricFamily(f"rustforge_jobs_{gauge}", text, labels=["queue"])
                for name, stats in metrics.stats.items():
                    family.add_metric([name], read(stats))
                yield family
            runs = CounterMetricFamily("rustforge_jobs_runs", _RUNS, labels=["queue", "job", "outcome"])
            for run, count in tuple(metrics.runs.items()):
                runs.add_metric(run, count)
            yield runs
            for counter, (text, outcome) in _COUNTERS.items():
                counted = CounterMetricFamily(f"rustforge_jobs_{counter}", text, labels=["queue", "job"])
                for key, count in _counts(metrics, outcome):
                    counted.add_metric(key, count)
                yield counted
            histogram = HistogramMetricFamily("rustforge_jobs_duration_seconds", _DURATION, labels=["queue", "job"])
            for key, (counts, total) in metrics.durations().items():
                histogram.add_metric(key, _cumulated(metrics.buckets, counts), total)
            yield histogram
            yield CounterMetricFamily("rustforge_jobs_refresh_errors", _REFRESH_ERRORS, value=metrics.refresh_errors)

    return JobCollector()


def observe_opentelemetry(metrics: JobMetrics, meter: Meter) -> None:
    """Report to OpenTelemetry.

    Args:
        metrics: What is to be told.
        meter: The meter that gets the instruments.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.
    """
    try:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error, "otel") from error

    def depths(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"queue": name, "place": place}) for name, place, value in _depths(metrics)]

    def runs(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, {"queue": queue, "job": job, "outcome": outcome})
            for (queue, job, outcome), count in tuple(metrics.runs.items())
        ]

    def watch_gauge(gauge: str, text: str, read: Callable[[QueueStats], float]) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read(stats), {"queue": name}) for name, stats in metrics.stats.items()]

        unit = "s" if gauge.endswith("_seconds") else "1"
        meter.create_observable_gauge(f"rustforge.jobs.{gauge}", [observe], unit, text)

    def watch_counter(counter: str, text: str, outcome: str) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(count, {"queue": queue, "job": job}) for (queue, job), count in _counts(metrics, outcome)
            ]

        meter.create_observable_counter(f"rustforge.jobs.{counter}", [observe], "1", text)

    meter.create_observable_gauge("rustforge.jobs.depth", [depths], "1", _DEPTH)
    for gauge, (text, read) in _GAUGES.items():
        watch_gauge(gauge, text, read)
    meter.create_observable_counter("rustforge.jobs.runs", [runs], "1", _RUNS)
    for counter, (text, outcome) in _COUNTERS.items():
        watch_counter(counter, text, outcome)
    histogram = meter.create_histogram(
        "rustforge.jobs.duration_seconds", "s", _DURATION, explicit_bucket_boundaries_advisory=metrics.buckets
    )
    metrics.on_run(lambda queue, job, seconds: histogram.record(seconds, {"queue": queue, "job": job}))
    meter.create_observable_counter(
        "rustforge.jobs.refresh_errors", [lambda _: [Observation(metrics.refresh_errors)]], "1", _REFRESH_ERRORS
    )


def _depths(metrics: JobMetrics) -> Iterator[tuple[str, str, int]]:
    for name, stats in metrics.stats.items():
        for place in _PLACES:
            yield name, place, getattr(stats, place)


def _counts(metrics: JobMetrics, outcome: str) -> Iterator[tuple[tuple[str, str], int]]:
    for (queue, job, became), count in tuple(metrics.runs.items()):
        if became == outcome:
            yield (queue, job), count


def _cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Write buckets as Prometheus wants them: each with all that is below its bound."""
    found: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found


def _missing(error: ImportError, extra: str) -> ConfigurationError:
    return ConfigurationError(f"{error.name} is not installed; it comes with: pip install 'rustforge[{extra}]'")
