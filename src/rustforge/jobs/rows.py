"""Jobs as rows of SQL: written from envelopes, read back, and put into the queue without one holding up the others."""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from rustforge import codec
from rustforge.errors import InvalidArgumentError, JobDecodeError, RedisError, RustforgeError
from rustforge.jobs.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rustforge.jobs.queue import Queue

__all__ = ["columns_of", "enqueue_once", "envelope_from", "failed_columns", "forget_sent", "options_from", "plain"]

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")


def columns_of(envelope: Envelope) -> dict[str, str]:
    """Write what all tables of jobs have in common."""
    return {
        "id": envelope.id,
        "queue": envelope.queue,
        "payload": plain(envelope.payload.decode(errors="replace")),
        "options": plain(json.dumps(envelope.options, separators=(",", ":"))),
    }


def failed_columns(envelope: Envelope, error: str, attempts: int) -> dict[str, Any]:
    """Write a row of `failed_jobs`, but for its time."""
    group = envelope.options.get("g")
    return {
        **columns_of(envelope),
        "job_name": envelope.name,
        "group_id": None if group is None else plain(str(group)),
        "error": plain(error),
        "attempts": attempts,
        "retry": None,
    }


def envelope_from(job_id: str, queue: str, name: str, payload: str, options: str) -> Envelope:
    """Read a job from a row.

    Raises:
        JobDecodeError: It is none that Rustforge wrote.
    """
    read = options_from(options)
    wrong = "its options are no JSON object" if read is None else ""
    if not _NAME.fullmatch(name):
        wrong = "its name is none of a job"
    try:
        codec.decode(payload.encode())
    except codec.DecodeError:
        wrong = "its payload is not JSON"
    if read is None or wrong:
        msg = f"the row of job {job_id} cannot be read: {wrong}"
        raise JobDecodeError(msg)
    return Envelope(job_id, queue, name, payload.encode(), read)


def options_from(text: str) -> dict[str, Any] | None:
    """Read the options of a job; `None` where they are none."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


async def enqueue_once(
    queue: Queue, envelopes: Sequence[Envelope], delays_ms: Sequence[int]
) -> tuple[dict[str, str], dict[str, Exception]]:
    """Put jobs into the queue, each once until its id is forgotten; what cannot go does not keep the others.

    Returns:
        For each job that went the id under which it stands, and for each other one the reason.

    Raises:
        RedisError: Redis could not do it. Some jobs may have gone; when they come again, they count once.
    """
    if not envelopes:
        return {}, {}
    try:
        standing = await queue.enqueue(envelopes, delays_ms=delays_ms, once=True)
        return {one.id: where for one, where in zip(envelopes, standing, strict=True)}, {}
    except RedisError:
        raise
    except (RustforgeError, ValueError, TypeError, LookupError) as error:
        if len(envelopes) == 1:
            return {}, {envelopes[0].id: error}
    went: dict[str, str] = {}
    refused: dict[str, Exception] = {}
    for envelope, delay in zip(envelopes, delays_ms, strict=True):
        one, no = await enqueue_once(queue, [envelope], [delay])
        went |= one
        refused |= no
    return went, refused


async def forget_sent(queue: Queue, rows: Iterable[Any]) -> None:
    """Let the queue forget the ids of rows, after which they count as new."""
    queues: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        queues[row.queue].append(row.id)
    for name, ids in queues.items():
        with contextlib.suppress(InvalidArgumentError):  # no queue can have this name, so none remembers
            await queue.forget_sent(name, ids)


def plain(text: str) -> str:
    """Write text so that every database takes it: without NUL and without halves of characters."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
