"""Jobs that belong together: batches and chains, written for their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.errors import InvalidArgumentError
from rustforge.jobs.envelope import new_id
from rustforge.jobs.job import envelope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rustforge.jobs.envelope import Envelope
    from rustforge.jobs.job import Job

__all__ = ["write_batch", "write_chain"]


def write_batch(jobs: Iterable[Job], then: Job) -> tuple[str, list[Envelope], Envelope]:
    """Write the jobs of a batch, and the one at its end.

    Returns:
        The batch's id, its jobs, and the last one.

    Raises:
        InvalidArgumentError: There are none, or they are of several queues.
    """
    batch = new_id()
    envelopes = [envelope_of(job, options={"b": batch}) for job in jobs]
    last = envelope_of(then)
    _require_one_queue(envelopes and [*envelopes, last], "a batch")
    return batch, envelopes, last


def write_chain(jobs: Iterable[Job]) -> list[Envelope]:
    """Write the jobs of a chain: a group that its first one names, and that waits for each of them.

    Raises:
        InvalidArgumentError: There are none, they are of several queues, or one has a group of its own.
    """
    chain = new_id()
    envelopes: list[Envelope] = []
    for job in jobs:
        written = envelope_of(job, job_id=None if envelopes else chain)
        if "g" in written.options:
            msg = f"{job.__class__.__name__} has a group of its own, so it cannot be in a chain"
            raise InvalidArgumentError(msg)
        written.options.update(g=chain, gh=1)
        envelopes.append(written)
    _require_one_queue(envelopes, "a chain")
    return envelopes


def _require_one_queue(envelopes: Sequence[Envelope], what: str) -> None:
    if not envelopes or len({one.queue for one in envelopes}) != 1:
        msg = f"{what} needs at least one job, and all of its jobs in one queue"
        raise InvalidArgumentError(msg)
