"""One trace from the request that enqueued a job to the handler that runs it, by OpenTelemetry.

[`trace_enqueueing`][rustforge.jobs.tracing.trace_enqueueing] gives each job that this process enqueues, by whatever
way, a producer span, and writes its `traceparent` into the job's envelope.
[`trace_runs`][rustforge.jobs.tracing.trace_runs] is a middleware of the worker that continues that trace with a
consumer span around every run. Both follow the semantic conventions for messaging.

The records that `ctx.logger` writes carry `job_id`, `job_name`, `queue` and `attempt` beside the message, as fields of
the record, for a formatter that writes JSON; with these, logs and spans can be joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustforge.errors import ConfigurationError
from rustforge.jobs.job import on_enqueue
from rustforge.jobs.retry import Snooze

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.trace import Tracer

    from rustforge.jobs.job import Job, JobContext
    from rustforge.jobs.runner import Middleware

__all__ = ["trace_enqueueing", "trace_runs"]

_SYSTEM = "rustforge"


def trace_enqueueing(tracer: Tracer | None = None) -> Callable[[], None]:
    """Trace the jobs that this process enqueues from now on: those that are pushed, also to an outbox, and scheduled.

    Args:
        tracer: Makes the spans; `None` takes the global provider's.

    Returns:
        A function that ends it.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.

    Example:
        ```python
        trace_enqueueing()
        worker = Worker(ctx, middleware=[trace_runs()])
        ```
    """
    trace = _import()
    writer, maker = _propagator(), tracer or trace.get_tracer(_SYSTEM)
    kind, set_span = trace.SpanKind.PRODUCER, trace.set_span_in_context

    def write(job: Job) -> dict[str, Any]:
        attributes = _attributes(job.NAME, job.QUEUE, "create")
        span = maker.start_span(f"create {job.NAME}", kind=kind, attributes=attributes)
        carrier: dict[str, str] = {}
        writer.inject(carrier, set_span(span))
        span.end()
        found = carrier.get("traceparent")
        return {} if found is None else {"t": found}

    return on_enqueue(write)


def trace_runs(tracer: Tracer | None = None) -> Middleware:
    """Make a middleware that opens a span around every run, in the trace in which the job was enqueued.

    A run that fails has the status of an error, and the exception as an event; one that is snoozed has not.

    Args:
        tracer: Makes the spans; `None` takes the global provider's.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.
    """
    trace = _import()
    reader, maker = _propagator(), tracer or trace.get_tracer(_SYSTEM)
    kind, error_code = trace.SpanKind.CONSUMER, trace.StatusCode.ERROR

    async def _traced(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]], /) -> Any:
        del job
        parent = None if ctx.traceparent is None else reader.extract({"traceparent": ctx.traceparent})
        attributes = _attributes(ctx.job_name, ctx.queue_name, "process")
        attributes["messaging.message.id"] = ctx.job_id
        attributes["rustforge.job.attempt"] = ctx.attempt
        with maker.start_as_current_span(
            f"process {ctx.job_name}",
            context=parent,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await call_next()
            except Snooze as snooze:
                span.set_attribute("rustforge.job.snoozed_ms", snooze.delay_ms)
                raise
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(error_code, str(error) or type(error).__qualname__)
                if isinstance(error, Exception):
                    span.record_exception(error)
                raise

    return _traced


def _attributes(name: str, queue: str, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "rustforge.job.name": name,
    }


def _import() -> Any:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"{error.name} is not installed; it comes with: pip install 'rustforge[otel]'"
        raise ConfigurationError(msg) from error
    return trace


def _propagator() -> Any:
    """Return what writes and reads W3C's header, whatever else the application propagates."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - an extra

    return TraceContextTextMapPropagator()
