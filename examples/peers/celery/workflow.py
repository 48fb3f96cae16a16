"""Tasks that run one after the other, and one that runs when all others are done."""

import os

from _worker import working

# --8<-- [start:workflow]
from celery import Celery, chain, chord

app = Celery(
    "shop",
    broker=os.environ["REDIS_URL"],
    backend=os.environ["REDIS_URL"],
)


@app.task(name="video.encode")
def encode(video_id: int) -> None:
    print("encoded", video_id)


@app.task(name="video.publish")
def publish(video_id: int) -> None:
    print("published", video_id)


@app.task(name="catalogue.import_page")
def import_page(number: int) -> None: ...


@app.task(name="catalogue.finish")
def finish(total: int) -> None:
    print(f"{total} pages")


def start() -> None:
    chain(encode.si(7), publish.si(7)).delay()
    pages = [import_page.si(n) for n in range(20)]
    chord(pages)(finish.si(20))
    # --8<-- [end:workflow]


if __name__ == "__main__":
    with working(app, runs=23):
        start()
