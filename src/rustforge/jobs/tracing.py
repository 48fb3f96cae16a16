"""One trace from the request that enqueued a job to the handler that runs it, by OpenTelemetry.

[`trace_enqueueing`][rustforge.jobs.tracing.trace_enqueueing] gives each job that this process enqueues, by whatever
way, a producer span, and writes its `traceparent` into the job's envelope.
[`trace_runs`][rustforge.jobs.tracing.trace_runs] is a middleware of the worker that continues that trace with a
consumer span around every run. Both follow the semantic conventions for messaging.

The records that `ctx.logger` writes carry `job_id`, `job_name`, `queue` and `attempt` beside the message, as fields of
the record, for a formatter that writes JSON; with these, logs and spans can be joined.
"""

from __future__ import annotations

import importlib
import re
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
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)")


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
    trace = _import("trace")
    start = (tracer or trace.get_tracer(_SYSTEM)).start_span
    kind = trace.SpanKind.PRODUCER

    def write(job: Job) -> dict[str, Any]:
        span = start(f"create {job.NAME}", kind=kind, attributes=_attributes(job.NAME, job.QUEUE, "create"))
        span.end()
        made = span.get_span_context()
        if not made.is_valid:  # the application has set up no tracing
            return {}
        return {"t": f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"}

    return on_enqueue(write)


def trace_runs(tracer: Tracer | None = None) -> Middleware:
    """Make a middleware that opens a span around every run, in the trace in which the job was enqueued.

    A run that fails has the status of an error, and the exception as an event; one that is snoozed has not. The
    attribute `rustforge.job.attempt` says how many attempts failed before, where any did.

    Args:
        tracer: Makes the spans; `None` takes the global provider's.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.
    """
    trace, context = _import("trace"), _import("context")
    start, set_span = (tracer or trace.get_tracer(_SYSTEM)).start_span, trace.set_span_in_context
    attach, detach = context.attach, context.detach
    kind, error_code = trace.SpanKind.CONSUMER, trace.StatusCode.ERROR

    known: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}

    async def _traced(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]], /) -> Any:
        del job
        place = ctx.job_name, ctx.queue_name
        if place not in known:
            known[place] = f"process {ctx.job_name}", _attributes(*place, "process")
        name, attributes = known[place]
        attributes = {**attributes, "messaging.message.id": ctx.job_id}
        if ctx.attempt:
            attributes["rustforge.job.attempt"] = ctx.attempt
        parent = None if ctx.traceparent is None else _parent(trace, ctx.traceparent)
        span = start(name, parent, kind, attributes)
        token = attach(set_span(span))
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
        finally:
            detach(token)
            span.end()

    return _traced


def _parent(trace: Any, traceparent: str) -> Any:
    """Read W3C's header into a context, and one that makes no sense into none."""
    match = _TRACEPARENT.match(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    found = trace.SpanContext(trace_id, span_id, True, trace.TraceFlags(flags))  # noqa: FBT003
    return trace.set_span_in_context(trace.NonRecordingSpan(found)) if found.is_valid else None


def _attributes(name: str, queue: str, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "rustforge.job.name": name,
    }


def _import(name: str) -> Any:
    try:
        return importlib.import_module(f"opentelemetry.{name}")
    except ImportError as error:
        msg = "opentelemetry is not installed; it comes with: pip install 'rustforge[otel]'"
        raise ConfigurationError(msg) from error
