"""Tasks that run later, and at fixed times."""

import os

# --8<-- [start:schedule]
from celery import Celery
from celery.schedules import crontab

app = Celery("shop", broker=os.environ["REDIS_URL"])
app.conf.timezone = "Europe/Berlin"


@app.task(name="mail.digest")
def send_digest() -> None: ...


app.conf.beat_schedule = {
    "digest": {
        "task": "mail.digest",
        "schedule": crontab(
            minute=30, hour=7, day_of_week="mon-fri"
        ),
    },
}


def remind() -> None:
    send_digest.apply_async(countdown=3600)
    # --8<-- [end:schedule]


if __name__ == "__main__":
    from datetime import datetime
    from zoneinfo import ZoneInfo

    remind()
    entry = app.conf.beat_schedule["digest"]["schedule"]
    friday = datetime(
        2027, 1, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")
    )
    entry.nowfun = lambda: friday
    due = friday + entry.remaining_estimate(friday)
    print(f"{due:%a %d %b %H:%M}")
