"""Metrics and traces of jobs, read by the real libraries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint, Sum
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rustforge.errors import ConfigurationError, RedisConnectionError
from rustforge.jobs import Job, JobContext, RateLimit, Snooze, Worker
from rustforge.jobs.job import envelope_of, options_of
from rustforge.jobs.metrics import JobMetrics, observe_opentelemetry, prometheus_collector
from rustforge.jobs.outbox import JobBuffer, OutboxFlusher
from rustforge.jobs.tracing import trace_enqueueing, trace_runs
from rustforge.testing import time_travel
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from rustforge.testing import TimeTraveler


class Observed(Job):
    """Does what it is told."""

    NAME = "test.observed"

    order: str = "done"

    async def handle(self, ctx: JobContext) -> None:
        """Obey."""
        if self.order == "fail":
            raise LookupError(self.order)
        if self.order == "snooze" and ctx.fence == 1:
            raise Snooze(60)

    def max_retries(self) -> int:
        """Run twice."""
        return 1


class Slow(Job):
    """Waits for its rate."""

    NAME = "test.slow"
    QUEUE = "slow"

    async def handle(self, ctx: JobContext) -> None:
        """Push another job, in the trace of this one."""
        await Observed().dispatch(ctx.queue)

    def rate(self) -> RateLimit:
        """Allow one an hour."""
        return RateLimit("slow", 1, 3600)


@pytest.fixture
async def time() -> AsyncIterator[TimeTraveler]:
    """Give queues whose time stands still."""
    async with time_travel(registry=[Observed, Slow]) as traveler:
        yield traveler


async def work(time: TimeTraveler, metrics: JobMetrics) -> None:
    """End two runs well, fail two, snooze one; leave one waiting for its rate, and one for a delay."""
    worker = Worker(time.ctx, ["default", "slow"], registry=[Observed, Slow])
    metrics.watch(worker)
    await time.ctx.queue.push_many([Observed(), Observed(order="fail"), Observed(order="snooze"), Slow(), Slow()])
    await time.ctx.queue.push(Observed(), delay=7200)
    await worker.run_until_empty()
    time.clock.advance(6)
    await worker.run_until_empty()
    await metrics.refresh()


# -- metrics ---------------------------------------------------------------------------------------------------------


async def test_prometheus(time: TimeTraveler) -> None:
    """Depths, runs and durations are exposed under their names, in a form that the parser reads."""
    metrics = JobMetrics(time.ctx.queue, buckets=(0.5, 60))
    registry = CollectorRegistry()
    registry.register(prometheus_collector(metrics))
    await work(time, metrics)
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert {family.name: family.type for family in families} == {
        "rustforge_jobs_depth": "gauge",
        "rustforge_jobs_in_flight": "gauge",
        "rustforge_jobs_oldest_seconds": "gauge",
        "rustforge_jobs_workers": "gauge",
        "rustforge_jobs_paused": "gauge",
        "rustforge_jobs_runs": "counter",
        "rustforge_jobs_retries": "counter",
        "rustforge_jobs_failures": "counter",
        "rustforge_jobs_duration_seconds": "histogram",
        "rustforge_jobs_refresh_errors": "counter",
    }
    assert all(family.documentation for family in families)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"rustforge_jobs_{name}", labels)

    assert value("depth", queue="slow", place="delayed") == 1
    assert value("depth", queue="default", place="delayed") == 2
    assert value("depth", queue="default", place="ready") == 0
    assert value("workers", queue="default") == 0
    assert value("runs_total", queue="default", job="test.observed", outcome="done") == 2
    assert value("runs_total", queue="default", job="test.observed", outcome="snooze") == 1
    assert value("retries_total", queue="default", job="test.observed") == 1
    assert value("failures_total", queue="default", job="test.observed") == 1
    assert value("failures_total", queue="slow", job="test.slow") is None
    assert value("duration_seconds_count", queue="default", job="test.observed") == 5
    assert value("duration_seconds_bucket", queue="default", job="test.observed", le="0.5") == 5
    assert value("duration_seconds_bucket", queue="default", job="test.observed", le="+Inf") == 5
    assert 0 < (value("duration_seconds_sum", queue="default", job="test.observed") or 0) < 2
    assert value("refresh_errors_total") == 0


async def test_durations_fall_into_their_buckets(time: TimeTraveler) -> None:
    """A bound belongs to its bucket; what is beyond the last is counted without one."""
    metrics = JobMetrics(time.ctx.queue, buckets=(10, 1))
    ctx = JobContext(time.ctx, job_id="x", job_name="j", queue_name="q")
    for seconds in (0.5, 1, 1.1, 10, 11):
        metrics._count(ctx, "done", seconds)
    ((key, (counts, total)),) = metrics.durations().items()
    assert (key, counts) == (("q", "j"), [2, 2, 1])
    assert total == pytest.approx(23.6)


async def test_opentelemetry(time: TimeTraveler) -> None:
    """The same by OpenTelemetry's names, with the same labels."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    metrics = JobMetrics(time.ctx.queue, ["default", "slow"])
    observe_opentelemetry(metrics, provider.get_meter("test"))
    await work(time, metrics)
    data = reader.get_metrics_data()
    assert data is not None
    found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}

    def value(name: str, **labels: str) -> float:
        (point,) = [one for one in found[f"rustforge.jobs.{name}"].data.data_points if one.attributes == labels]
        assert isinstance(point, NumberDataPoint)
        return point.value

    assert value("depth", queue="slow", place="delayed") == 1
    assert value("in_flight", queue="slow") == 0
    assert value("oldest_seconds", queue="slow") == 0
    assert value("paused", queue="slow") == 0
    assert value("runs", queue="default", job="test.observed", outcome="dead") == 1
    assert value("retries", queue="default", job="test.observed") == 1
    assert value("failures", queue="default", job="test.observed") == 1
    assert value("refresh_errors") == 0
    assert isinstance(found["rustforge.jobs.runs"].data, Sum)
    (point,) = [
        one
        for one in found["rustforge.jobs.duration_seconds"].data.data_points
        if one.attributes == {"queue": "default", "job": "test.observed"}
    ]
    assert isinstance(point, HistogramDataPoint)
    assert point.count == 5
    assert tuple(point.explicit_bounds) == metrics.buckets
    provider.shutdown()


async def test_it_is_refreshed_by_itself(time: TimeTraveler) -> None:
    """Within its block it asks again and again, also for queues that are new, and knows those that are empty again."""
    async with JobMetrics(time.ctx.queue, interval=0.01) as metrics:
        assert metrics.stats == {}
        await Observed().dispatch(time.ctx.queue)
        await wait_until(lambda: "default" in metrics.stats and metrics.stats["default"].ready == 1)
        await time.ctx.queue.clear()
        await wait_until(lambda: metrics.stats["default"].ready == 0)


async def test_while_redis_is_away(time: TimeTraveler, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gauges are left out rather than told as they were, and come again."""
    metrics = JobMetrics(time.ctx.queue, ["default"])
    await metrics.refresh()
    assert metrics.stats["default"].size == 0
    with monkeypatch.context() as patch:

        async def refuse(name: str) -> None:
            raise RedisConnectionError(name)

        patch.setattr(time.ctx.queue, "stats", refuse, raising=True)
        await metrics.refresh()
    assert metrics.stats == {}
    assert metrics.refresh_errors == 1
    await metrics.refresh()
    assert "default" in metrics.stats


async def test_what_is_not_installed(time: TimeTraveler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error names what to install."""
    metrics = JobMetrics(time.ctx.queue)
    meter = MeterProvider(shutdown_on_exit=False).get_meter("test")
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[prometheus\]'"):
        prometheus_collector(metrics)
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[otel\]'"):
        observe_opentelemetry(metrics, meter)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    for start in (trace_enqueueing, trace_runs):
        with pytest.raises(ConfigurationError, match=r"pip install 'rustforge\[otel\]'"):
            start()


# -- traces ----------------------------------------------------------------------------------------------------------


class Traces:
    """The spans of a test."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = provider.get_tracer("test")

    def named(self, name: str) -> list[ReadableSpan]:
        """List the spans of a name."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def traces() -> Iterator[Traces]:
    """Trace what is enqueued."""
    found = Traces()
    end = trace_enqueueing(found.tracer)
    yield found
    end()
    end()
    assert options_of(Observed()) == {}


async def run(time: TimeTraveler, traces: Traces) -> None:
    """Run what is there, traced."""
    worker = Worker(time.ctx, ["default", "slow"], registry=[Observed, Slow], middleware=[trace_runs(traces.tracer)])
    await worker.run_until_empty()


async def test_one_trace_from_request_to_handler(time: TimeTraveler, traces: Traces) -> None:
    """The run continues the trace of the request, over as many jobs as there are on the way."""
    with traces.tracer.start_as_current_span("request") as request:
        job_id = await Slow().dispatch(time.ctx.queue)
    await run(time, traces)
    made, ran = traces.named("create test.slow")[0], traces.named("process test.slow")[0]
    made_then, ran_then = traces.named("create test.observed")[0], traces.named("process test.observed")[0]
    for parent, child in ((request, made), (made, ran), (ran, made_then), (made_then, ran_then)):
        context = parent.get_span_context()
        assert context is not None
        assert child.parent is not None
        assert child.parent.span_id == context.span_id
        assert child.context is not None
        assert child.context.trace_id == request.get_span_context().trace_id
    assert (made.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert dict(ran.attributes or {}) == {
        "messaging.system": "rustforge",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "slow",
        "messaging.message.id": job_id,
        "rustforge.job.name": "test.slow",
    }
    assert ran.status.status_code is StatusCode.UNSET


async def test_runs_that_do_not_end_well(time: TimeTraveler, traces: Traces) -> None:
    """A failure is an error with its exception; a snooze is none; each run of a job hangs on the same parent."""
    await Observed(order="fail").dispatch(time.ctx.queue)
    await Observed(order="snooze").dispatch(time.ctx.queue)
    await run(time, traces)
    time.clock.advance(60)
    await run(time, traces)
    spans = traces.named("process test.observed")
    failed = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert [(span.attributes or {}).get("rustforge.job.attempt") for span in failed] == [None, 1]
    assert failed[0].status.description == "fail"
    assert failed[0].attributes is not None
    assert failed[0].attributes["error.type"] == "LookupError"
    assert [event.name for event in failed[0].events] == ["exception"]
    assert len({span.parent.span_id for span in failed if span.parent is not None}) == 1
    (snoozed,) = [span for span in spans if span.attributes and "rustforge.job.snoozed_ms" in span.attributes]
    assert snoozed.status.status_code is StatusCode.UNSET
    assert len(spans) == 4


async def test_the_outbox_is_in_the_trace_too(time: TimeTraveler, traces: Traces) -> None:
    """A job that came by the outbox continues the trace of the transaction in which it was pushed."""
    with traces.tracer.start_as_current_span("request") as request:
        async with time.ctx.db.transaction() as session:
            await Observed().dispatch(JobBuffer(session))
    await OutboxFlusher(time.ctx).flush()
    await run(time, traces)
    assert [span.context.trace_id for span in traces.named("process test.observed") if span.context] == [
        request.get_span_context().trace_id
    ]


async def test_a_job_from_nowhere(time: TimeTraveler) -> None:
    """Without a trace of its own a run begins one; an option that is no traceparent changes nothing."""
    traces = Traces()
    await time.ctx.queue.push(Observed())
    await time.ctx.queue.enqueue([envelope_of(Observed(), options={"t": "nonsense"})])
    await run(time, traces)
    assert [span.parent for span in traces.named("process test.observed")] == [None, None]


async def test_without_an_sdk(time: TimeTraveler) -> None:
    """Where the application set up no tracing, jobs go their way without an option, and handlers run."""
    end = trace_enqueueing()
    seen: list[Any] = []

    async def look(ctx: JobContext, job: Job, call_next: Any) -> Any:
        del job
        seen.append((ctx.traceparent, get_current_span().is_recording()))
        return await call_next()

    await Observed().dispatch(time.ctx.queue)
    await Worker(time.ctx, registry=[Observed], middleware=[trace_runs(), look]).run_until_empty()
    end()
    assert seen == [(None, False)]
