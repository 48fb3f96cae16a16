"""Tests that run tasks at once, in their own process."""

import os

from celery import Celery

app = Celery("shop", broker=os.environ["REDIS_URL"])
receipts: list[int] = []


@app.task(name="order.send_receipt")
def send_receipt(order_id: int) -> None:
    receipts.append(order_id)


def place_order(order_id: int) -> None:
    send_receipt.delay(order_id)


# --8<-- [start:testing]
def test_an_order_brings_a_receipt() -> None:
    app.conf.task_always_eager = True
    place_order(7)
    assert receipts == [7]


# --8<-- [end:testing]

if __name__ == "__main__":
    test_an_order_brings_a_receipt()
    print("passed")
