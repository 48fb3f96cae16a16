"""Where the clocks change, nothing is lost and nothing is doubled."""

# --8<-- [start:dst]
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rustforge.jobs import Cron

berlin = ZoneInfo("Europe/Berlin")


def show(expression: str, day: datetime, count: int) -> None:
    cron = Cron(expression, "Europe/Berlin")
    instant = int(day.timestamp() * 1000)
    for _ in range(count):
        instant = cron.next(instant)
        print(
            datetime.fromtimestamp(instant / 1000, berlin).strftime(
                "%d %b %H:%M %Z"
            )
        )


print("in spring, 2:00 to 3:00 is skipped:")
show("30 2 * * *", datetime(2027, 3, 27, tzinfo=UTC), 3)
print("in autumn, 2:00 to 3:00 comes twice:")
show("30 2 * * *", datetime(2027, 10, 30, tzinfo=UTC), 3)
print("every hour goes on by elapsed time:")
show("30 * * * *", datetime(2027, 10, 31, 0, 0, tzinfo=UTC), 3)
# --8<-- [end:dst]
