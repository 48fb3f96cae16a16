"""A process that forks a child for each order, which works on the outbox or the failed jobs and dies at a set point.

The points are the steps that leave something behind: a commit, and a call to the queue, each just before it and just
after it. The child is killed (SIGKILL), so that nothing of it is tidied up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import event

from rustforge.db import Database
from rustforge.jobs import Queue
from rustforge.jobs.failed import FailedJobs
from rustforge.jobs.outbox import OutboxFlusher

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from rustforge.jobs.envelope import Envelope

FLUSH = ("enqueue 1", "after enqueue 1", "commit 1", "after commit 1", "forget 1", "after forget 1", "commit 2")
RETRY = (
    *("forget 1", "after forget 1", "commit 1", "after commit 1", "enqueue 1", "after enqueue 1"),
    *("commit 2", "after commit 2", "forget 2", "after forget 2", "commit 3"),
)


def die() -> NoReturn:
    """End this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Steps:
    """Counts the steps of each kind, and dies at one of them."""

    def __init__(self, point: str) -> None:
        """Say which, such as `after commit 2`."""
        self._point = point
        self._counts: Counter[str] = Counter()

    def before(self, kind: str) -> None:
        """Begin a step."""
        self._counts[kind] += 1
        if self._point == f"{kind} {self._counts[kind]}":
            die()

    def after(self, kind: str) -> None:
        """End the last step of a kind."""
        if self._point == f"after {kind} {self._counts[kind]}":
            die()


class FragileQueue(Queue):
    """A queue that dies at its point."""

    steps = Steps("")

    async def enqueue(self, envelopes: Sequence[Envelope], **options: Any) -> list[str]:
        """Enqueue, and die before or after."""
        self.steps.before("enqueue")
        found = await super().enqueue(envelopes, **options)
        self.steps.after("enqueue")
        return found

    async def forget_sent(self, queue: str, ids: Sequence[str]) -> None:
        """Forget, and die before or after."""
        self.steps.before("forget")
        await super().forget_sent(queue, ids)
        self.steps.after("forget")


async def work(order: dict[str, Any]) -> None:
    """Flush or retry until the point is reached."""
    db = Database(order["database"])
    steps = FragileQueue.steps = Steps(order["point"])
    async with FragileQueue.connect(order["redis"], prefix=order["prefix"]) as queue:
        await db.open()
        event.listen(db.engine.sync_engine, "commit", lambda _: steps.before("commit"))
        event.listen(db.engine.sync_engine, "begin", lambda _: steps.after("commit"))
        if order["what"] == "flush":
            await OutboxFlusher(SimpleNamespace(db=db, queue=queue)).flush()
        else:
            for job_id in order["ids"]:
                await FailedJobs(db).retry(job_id, queue)


def main(work: Callable[[dict[str, Any]], Coroutine[Any, Any, None]] = work) -> None:
    """Carry out the orders of standard input, a JSON object a line; say for each how the child ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(work(json.loads(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = {"word": "ended", "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}
        sys.stdout.write(f'{json.dumps(ended)}\n{{"word": "idle"}}\n')
        sys.stdout.flush()


if __name__ == "__main__":
    main()
