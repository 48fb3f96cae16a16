"""Look after failed jobs on the command line."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

from rustforge.boot import boot
from rustforge.jobs import DeadJob, Envelope, FailedJobs

MOMENT = datetime(2027, 1, 31, 8, 0, tzinfo=UTC)


async def prepare() -> None:
    async with boot() as ctx:
        await FailedJobs(ctx.db).record(
            DeadJob(
                Envelope(
                    f"1a20e34af13f4da78612000{number}", "default", "mail.send", body
                ),
                "ConnectionError: the mail server refuses",
                6,
                MOMENT.replace(minute=number),
            )
            for number, body in enumerate(
                (b'{"to":"ann@example.com"}', b'{"to":"ben@example.com"}')
            )
        )


def rustforge(*words: str) -> None:
    print("$ rustforge", *words, flush=True)
    command = [sys.executable, "-m", "rustforge.cli", *words]
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    print(*[line.rstrip() for line in done.stdout.decode().splitlines()], sep="\n")


asyncio.run(prepare())
# --8<-- [start:calls]
rustforge("jobs", "show", "1a20e34af13f4da786120000")
rustforge("jobs", "list", "--json", "--limit", "1")
rustforge("jobs", "forget", "1a20e34af13f4da786120000", "--yes")
# --8<-- [end:calls]
