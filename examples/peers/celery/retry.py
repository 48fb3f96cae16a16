"""A task that is tried again; and what happens after the last attempt."""

import os
from typing import Any

from _worker import working

# --8<-- [start:retry]
from celery import Celery, Task

app = Celery("shop", broker=os.environ["REDIS_URL"])


class Invoice(Task):
    def on_failure(
        self, exc: Any, task_id: str, args: Any, *_: Any
    ) -> None:
        print("given up: order", args[0])


@app.task(
    name="invoice.send",
    base=Invoice,
    bind=True,
    autoretry_for=(ConnectionError,),
    max_retries=2,
    retry_backoff=1,  # seconds: 1, 2
    retry_jitter=False,
)
def send_invoice(self: Task, order_id: int) -> None:
    print("attempt", self.request.retries)
    raise ConnectionError("the mail server refuses")


# --8<-- [end:retry]

if __name__ == "__main__":
    with working(app, runs=3):
        send_invoice.delay(7)
