"""Cron expressions, with the instants that they mean."""

# --8<-- [start:expressions]
from datetime import UTC, datetime

from rustforge.jobs import Cron

start = datetime(2027, 1, 1, tzinfo=UTC)
for expression in (
    "*/15 * * * *",  # every quarter of an hour
    "30 2 * * mon-fri",  # at 2:30 on weekdays
    "0 9 1 * *",  # at 9:00 on the first of each month
    "0 18 L * *",  # at 18:00 on the last of each month
    "0 12 * * fri#2",  # at noon on the second Friday of each month
    "*/10 * * * * *",  # six fields: every ten seconds
    "@daily",
):
    instant = Cron(expression).next(int(start.timestamp() * 1000))
    shown = datetime.fromtimestamp(instant / 1000, UTC)
    print(f"{expression:18}{shown:%a %d %b %H:%M:%S}")
# --8<-- [end:expressions]
