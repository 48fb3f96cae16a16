"""A task, and the call that sends it."""

# --8<-- [start:first]
import os

from celery import Celery

app = Celery("shop", broker=os.environ["REDIS_URL"])


@app.task(name="order.send_receipt")
def send_receipt(order_id: int) -> None:
    print(f"receipt of order {order_id}")


def place_order() -> None:
    send_receipt.delay(7)
    # --8<-- [end:first]


if __name__ == "__main__":
    from _worker import working

    with working(app, runs=1):
        place_order()
